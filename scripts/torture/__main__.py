"""Kills runs at random moments, resumes them, and checks what docs/run_lifecycle.md promises.

Every kill is a SIGKILL of a fresh process; then the same command runs again with --resume. All the
while a reader looks at the output as fast as it can. Checked are:

- the reader: nothing or the earlier run, then the new one; each of them whole, at every look;
- the resumed run: its data files, _inputs and _failures.jsonl are those of an undisturbed run, byte
  for byte, and no staging is left;
- the shards that were committed before the kill: published by the very inodes they had.

Half of the kills come near the end, when the run is put together and takes its place; of the rest
most come at any time, some while it works. A directory that shows a fault is kept.
"""

import argparse
import pathlib
import random
import shutil
import sys
import tempfile
import time

from scripts.torture.inputs import make_models
from scripts.torture.report import describe, print_summary
from scripts.torture.scenarios import CYCLE, choose_moments
from scripts.torture.workshop import Workshop


def main() -> int:
    """Makes the inputs, kills, reports; returns 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        prog="scripts/torture_lifecycle", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--images", type=int, default=2000, help="(default 2000)")
    parser.add_argument("--kills", type=int, default=30, help="(default 30)")
    parser.add_argument("--seed", type=int, help="of the moments (default: another each time)")
    arguments = parser.parse_args()
    if arguments.images < 200 or arguments.kills < 1:
        parser.error("needs --images of at least 200 and --kills of at least 1")
    seed = random.SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    directory = pathlib.Path(tempfile.mkdtemp(prefix="torture-")).resolve()
    print(f"--seed {seed}, in {directory}", flush=True)
    started = time.monotonic()
    models = make_models(directory)
    workshop = Workshop(directory, arguments.images, models)
    for scenario in dict.fromkeys(CYCLE[: arguments.kills]):
        seconds = workshop.undisturbed(scenario).seconds
        print(f"undisturbed {scenario.name}: {seconds:.1f} s", flush=True)
    outcomes = []
    moments = choose_moments(
        arguments.kills, random.Random(seed), lambda kind: workshop.undisturbed(kind).seconds
    )
    for number, (scenario, moment) in enumerate(moments, 1):
        outcome = workshop.kill_and_resume(scenario, moment)
        outcomes.append(outcome)
        print(f"{number:>3}/{arguments.kills} {describe(outcome)}", flush=True)
        for fault in outcome.faults:
            print(f"        {fault}", flush=True)
    print_summary(outcomes)
    print(f"{(time.monotonic() - started) / 60:.1f} minutes")
    if any(outcome.faults for outcome in outcomes):
        print(f"something is wrong: see {directory}, with --seed {seed}")
        return 1
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
