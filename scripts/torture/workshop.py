"""Runs that nobody kills, and runs that are killed, resumed and compared with those."""

import dataclasses
import itertools
import os
import pathlib
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from scripts.torture.inputs import draw_images, link_images
from scripts.torture.killer import finish, outlive, processes_of, start_and_kill
from scripts.torture.reader import Watch
from scripts.torture.scenarios import Moment, Scenario
from scripts.torture.site import Phase, Site, contents, inodes

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ("pipelines", "transforms")

CHANGED_EVERY = 10
FILES_A_RUN = 40
FEWEST_ROWS = 25
"""More shards than usual, so that a kill finds some done and some not; but none without rows."""


@dataclasses.dataclass(frozen=True)
class Undisturbed:
    """A run that nobody killed.

    Attributes:
        contents: What it wrote.
        seconds: How long its process took.
        shards: How many it has.
    """

    contents: Mapping[str, str]
    seconds: float
    shards: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one kill.

    Attributes:
        scenario: The kind of run.
        moment: When it was killed.
        phase: How far it had come.
        committed: Shards that were done by then.
        shards: Shards of the run.
        is_identical: Whether the resumed run wrote what an undisturbed one writes.
        recomputed: Shards that were done and not kept.
        watch: What the reader saw.
        orphans: Processes of the killed run that lived when it was looked at, and when the resumed
            run had ended.
        faults: All that was wrong, in words; none if all is well.
    """

    scenario: Scenario
    moment: Moment
    phase: Phase
    committed: int
    shards: int
    is_identical: bool
    recomputed: int
    watch: Watch
    orphans: tuple[int, int]
    faults: tuple[str, ...]


class Workshop:
    """A directory with inputs, models and what there is before a kill; and the undisturbed runs."""

    def __init__(
        self,
        directory: pathlib.Path,
        images: int,
        models: Mapping[str, str],
        run: Callable[[Sequence[str], pathlib.Path], int] | None = None,
    ) -> None:
        """Draws the images.

        Args:
            directory: Where to work; empty.
            images: How many.
            models: A SavedModel for "embed" and one for "classify".
            run: Runs a command that nobody kills, with a log, and returns its exit code; by
                default in a process of its own.
        """
        self._directory = directory
        # A copy: who edits the code meanwhile would change what the runs write.
        self._code = directory / "code"
        for package in PACKAGES:
            shutil.copytree(REPOSITORY / package, self._code / package)
        self._models = models
        self._run_command = run or (lambda argv, log: finish(argv, self._code, log)[0])
        self._rows_per_file = max(FEWEST_ROWS, images // FILES_A_RUN)
        self._undisturbed: dict[tuple[object, ...], Undisturbed] = {}
        self._cases = itertools.count(1)
        self._photos, self._half, self._collection = (
            directory / name for name in ("photos", "half", "collection")
        )
        draw_images(self._photos, images)
        names = sorted(os.listdir(self._photos))
        link_images(self._photos, self._half, names[::2])
        link_images(self._photos, self._collection, names[:-CHANGED_EVERY])

    def undisturbed(self, scenario: Scenario) -> Undisturbed:
        """Makes an undisturbed run of a scenario, once, and what there is before it."""
        making = (scenario.program, scenario.flags, scenario.beam_flags)
        if scenario.overwrites and not self._earlier(scenario).exists():
            self._run(scenario, self._earlier(scenario), self._half)
        if scenario.is_refresh and not self._earlier(scenario).exists():
            self._run(scenario, self._earlier(scenario), self._collection)
            self._change_collection()
        if making not in self._undisturbed:
            output = self._directory / f"undisturbed-{len(self._undisturbed)}"
            if scenario.is_refresh:
                shutil.copytree(self._earlier(scenario), output)
            started = time.monotonic()
            self._run(scenario, output, self._input(scenario))
            seconds = time.monotonic() - started
            run = (
                output / (output / "LATEST").read_text().strip() if scenario.is_refresh else output
            )
            self._undisturbed[making] = Undisturbed(contents(run), seconds, len(inodes(run)))
        return self._undisturbed[making]

    def kill_and_resume(self, scenario: Scenario, moment: Moment) -> Outcome:
        """Kills a run, resumes it, checks everything; keeps its directory if there is a fault."""
        wanted = self.undisturbed(scenario)
        case = self._directory / f"case-{next(self._cases):03d}-{scenario.name.replace(' ', '-')}"
        case.mkdir()
        output = case / "out"
        if scenario.overwrites or scenario.is_refresh:
            shutil.copytree(self._earlier(scenario), output)
        site = Site(output, is_root=scenario.is_refresh)
        argv = self._argv(scenario, output, self._input(scenario))
        overwrite = ["--overwrite"] if scenario.overwrites else []
        faults: list[str] = []
        with Watch(site.look) as watch:
            session = start_and_kill(
                [*argv, *overwrite], self._code, case / "killed.log", site, moment
            )
            phase, done = site.phase(), site.committed()
            orphans = len(processes_of(session))
            look = site.look()
            if look is not None and look.fault is not None:
                faults.append(f"after the kill: {look.fault}")
            # Without a plan, nothing on disk says that the earlier run may be replaced.
            kept = overwrite if phase is Phase.BEFORE_WORK else []
            code, resumed = finish([*argv, *kept, "--resume"], self._code, case / "resumed.log")
            if code:
                faults.append(f"resume: exit code {code}, {_last_line(case / 'resumed.log')}")
            faults += _faults_of(site, wanted.contents)
            left = outlive(session)
            if left:
                faults += [f"after the orphans: {f}" for f in _faults_of(site, wanted.contents)]
            if outlive(resumed):
                faults.append("the resumed run left processes")
        now = site.published()
        lost = sorted(shard for shard, inode in done.items() if now.get(shard) != inode)
        if lost:
            faults.append(f"{len(lost)} committed shards were computed again: {lost[:3]}")
        faults += watch.shown
        run = site.new_run()
        is_identical = not code and run is not None and contents(run) == wanted.contents
        if not faults:
            shutil.rmtree(case)
        else:
            faults.append(f"see {case}")
        return Outcome(
            scenario=scenario,
            moment=moment,
            phase=phase,
            committed=len(done),
            shards=wanted.shards,
            is_identical=is_identical,
            recomputed=len(lost),
            watch=watch,
            orphans=(orphans, left),
            faults=tuple(faults),
        )

    def _earlier(self, scenario: Scenario) -> pathlib.Path:
        return self._directory / f"earlier-{scenario.name.replace(' ', '-')}"

    def _input(self, scenario: Scenario) -> pathlib.Path:
        return self._collection if scenario.is_refresh else self._photos

    def _argv(self, scenario: Scenario, output: pathlib.Path, photos: pathlib.Path) -> list[str]:
        kind = "classify" if scenario.program == "classify" else "embed"
        return [
            *(sys.executable, "-m", f"pipelines.{scenario.program}"),
            *("--input", str(photos), "--model", self._models[kind]),
            *("--output_root" if scenario.is_refresh else "--output", str(output)),
            *("--rows_per_file", str(self._rows_per_file), "--image_id_from", "relative_path"),
            *scenario.flags,
            *scenario.beam_flags,
        ]

    def _run(self, scenario: Scenario, output: pathlib.Path, photos: pathlib.Path) -> None:
        log = self._directory / "undisturbed.log"
        if self._run_command(self._argv(scenario, output, photos), log):
            raise SystemExit(f"an undisturbed run failed, see {log}: {_last_line(log)}")

    def _change_collection(self) -> None:
        """Changes every tenth image, deletes a few and adds a few."""
        names = sorted(os.listdir(self._collection))
        for number, name in enumerate(names[::CHANGED_EVERY]):
            path = self._collection / name
            path.unlink()
            if number % CHANGED_EVERY:
                shutil.copyfile(self._photos / names[-1 - number], path)
        link_images(
            self._photos, self._collection, sorted(os.listdir(self._photos))[-CHANGED_EVERY:]
        )


def _faults_of(site: Site, wanted: Mapping[str, str]) -> list[str]:
    """Says what is wrong with a run that has ended."""
    faults = []
    run = site.new_run()
    found = {} if run is None else contents(run)
    if found != wanted:
        differing = sorted(dict(found.items() ^ wanted.items()))
        faults.append(f"{len(differing)} files differ from an undisturbed run: {differing[:3]}")
    look = site.look()
    if look is None or look.run_id is None or look.fault is not None:
        faults.append(f"no whole run: {look}")
    if strays := site.strays():
        faults.append(f"left behind: {strays}")
    return faults


def _last_line(log: pathlib.Path) -> str:
    return (log.read_text(errors="replace").splitlines() or [""])[-1]
