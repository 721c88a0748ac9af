"""Kills runs at random moments, resumes them, and checks what docs/run_lifecycle.md promises.

Every kill is a SIGKILL of a fresh process; then the same command runs again with --resume. All the
while a reader looks at the output as fast as it can. Checked are:

- the reader: nothing or the earlier run, then the new one; each of them whole, at every look;
- the resumed run: its data files, _inputs and failures.jsonl are those of an undisturbed run, byte
  for byte, and no staging is left;
- the shards that were committed before the kill: published by the very inodes they had.

Half of the kills come near the end, when the run is put together and takes its place; of the rest
most come at any time, some while it works. A directory that shows a fault is kept.
"""

import argparse
import contextlib
import dataclasses
import enum
import hashlib
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ("pipelines", "transforms")

PICTURES = 40
"""Pictures drawn; the images are these at many brightnesses, so that no two are alike."""
HEIGHT, WIDTH = 600, 800
UNDECODABLE_EVERY = 40
CHANGED_EVERY = 10
FILES_A_RUN = 40
FEWEST_ROWS = 25
"""More shards than usual, so that a kill finds some done and some not; but none without rows."""

LATE_DELAY_SECONDS = 0.015
AT_WORK_SHARE = 0.1
"""Of a process's time: how long after its first commit it surely works, about."""
PATIENCE_SECONDS = 300.0
STRAGGLERS_SECONDS = 20.0
FAULTS_SHOWN = 5

_SHARD = re.compile(r"\d{5,}-of-\d{5,}")
_RUN_NAME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z")
_OWN_FILES = {"_SUCCESS", "run.json", "failures.jsonl", "_inputs"}


class Phase(enum.Enum):
    """How far a run had come when it was killed, by what it left on disk."""

    BEFORE_WORK = "before work"
    WORKING = "working"
    ASSEMBLING = "assembling"
    PUBLISHED = "published, staging left"
    FINISHED = "finished"


class Trigger(enum.Enum):
    """What is waited for before a kill."""

    START = "start"
    COMMIT = "first commit"
    ASSEMBLY = "run/ there"
    PUBLICATION = "run published"
    SWEPT = "staging gone"


LATE = (
    Trigger.ASSEMBLY, Trigger.PUBLICATION, Trigger.ASSEMBLY, Trigger.PUBLICATION, Trigger.SWEPT,
)  # fmt: skip
"""What kills near the end wait for, in turn."""


class Moment(NamedTuple):
    """When to kill: so many seconds after the trigger."""

    trigger: Trigger
    delay: float


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A kind of run.

    Attributes:
        name: What it is called in the report.
        program: "embed", "classify" or "refresh".
        flags: Its flags, but for inputs, model and output.
        beam_flags: Beam's flags.
        overwrites: Whether the output holds an earlier run of other images.
    """

    name: str
    program: str = "embed"
    flags: tuple[str, ...] = ()
    beam_flags: tuple[str, ...] = ()
    overwrites: bool = False

    @property
    def is_refresh(self) -> bool:
        """Whether the output is a refresh root, which holds an earlier run."""
        return self.program == "refresh"


EMBED = Scenario("embed")
OVERWRITE = Scenario("overwrite", overwrites=True)
PROCESSES = Scenario(
    "2 processes",
    beam_flags=("--direct_running_mode", "multi_processing", "--direct_num_workers", "2"),
)
CLASSIFY = Scenario("classify", program="classify")
TFRECORD = Scenario("tfrecord", flags=("--output_format", "tfrecord"))
REFRESH = Scenario("refresh", program="refresh", flags=("--keep", "1"))

CYCLE = (
    OVERWRITE, EMBED, REFRESH, OVERWRITE, CLASSIFY, PROCESSES, OVERWRITE, EMBED, TFRECORD,
)  # fmt: skip
"""Scenarios in turn; one in three overwrites."""


class Look(NamedTuple):
    """What a reader saw.

    Attributes:
        run_id: The run; None if there was no directory.
        fault: What was wrong with it, if anything.
    """

    run_id: str | None
    fault: str | None = None


def look_at(run: pathlib.Path) -> Look | None:
    """Reads one run directory as a reader would; None if it was replaced meanwhile.

    The directory is opened once, so that one look is at one directory.
    """
    try:
        handle = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return Look(None)
    try:
        found = _look_inside(handle)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(run)):
                return found
        return None
    finally:
        os.close(handle)


def _look_inside(directory: int) -> Look:
    names = set(os.listdir(directory))
    if not names >= _OWN_FILES:
        return Look("a part", f"{len(names)} names and no {sorted(_OWN_FILES - names)}")
    try:
        record = json.loads(_read_in(directory, "run.json"))
        failures = _read_in(directory, "failures.jsonl").count(b"\n")
        sizes = {
            file["path"]: (file["size_bytes"], os.stat(file["path"], dir_fd=directory).st_size)
            for entry in record["files"]
            for file in (entry, entry["inputs"])
        }
        inputs = {f"_inputs/{name}" for name in _names_in(directory, "_inputs")}
    except (FileNotFoundError, ValueError) as error:
        return Look("a part", repr(error))
    wrong = [f"{path}: {size} bytes" for path, (wanted, size) in sizes.items() if size != wanted]
    unlisted = ((names - _OWN_FILES) | inputs) ^ sizes.keys()
    if unlisted:
        wrong.append(f"names and run.json differ: {sorted(unlisted)[:3]}")
    if failures != record["counts"]["failed"]:
        wrong.append(f"{failures} failures of {record['counts']['failed']}")
    return Look(record["run_id"], "; ".join(wrong) or None)


def _read_in(directory: int, name: str) -> bytes:
    with open(os.open(name, os.O_RDONLY, dir_fd=directory), "rb") as file:
        return file.read()


def _names_in(directory: int, name: str) -> list[str]:
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
    try:
        return os.listdir(handle)
    finally:
        os.close(handle)


class Site:
    """The output of one case, with what was there before."""

    def __init__(self, output: pathlib.Path, *, is_root: bool) -> None:
        self.output = output
        self._is_root = is_root
        self.staging = (
            output / ".refresh.staging" if is_root else output.parent / f".{output.name}.staging"
        )
        self._earlier = self._identity()

    def new_run(self) -> pathlib.Path | None:
        """Returns the directory of the new run, once it is in its place."""
        if self._identity() == self._earlier:
            return None
        return self.output / self._run_names()[-1] if self._is_root else self.output

    def look(self) -> Look | None:
        """Reads the run that a reader would; None if it was replaced meanwhile."""
        if not self._is_root:
            return look_at(self.output)
        name = self._latest()
        found = look_at(self.output / name)
        if found is not None and found.run_id is not None:
            return found
        return None if self._latest() != name else Look(None, f"LATEST names {name}: not there")

    def strays(self) -> list[str]:
        """Names what a finished run must not leave."""
        beside = [self.staging.name] if self.staging.exists() else []
        if not self._is_root:
            return beside
        known = {"LATEST", *self._run_names()}
        return sorted({*beside, *os.listdir(self.output)} - known)

    def happened(self, trigger: Trigger) -> bool:
        """Tells whether it is time."""
        match trigger:
            case Trigger.START:
                return True
            case Trigger.COMMIT:
                return bool(list(self.staging.glob("*-of-*.json")))
            case Trigger.ASSEMBLY:
                return os.path.exists(self.staging / "run")
            case Trigger.PUBLICATION:
                return self.new_run() is not None
            case Trigger.SWEPT:
                return not os.path.exists(self.staging) and self.new_run() is not None

    def phase(self) -> Phase:
        """Judges by what is on disk how far the run came."""
        if self.new_run() is not None:
            return Phase.PUBLISHED if self.staging.exists() else Phase.FINISHED
        if not (self.staging / "plan.json").exists():
            return Phase.BEFORE_WORK
        return Phase.ASSEMBLING if (self.staging / "run").exists() else Phase.WORKING

    def committed(self) -> dict[str, int]:
        """Returns the inode of the data file of every shard that is done, by shard."""
        found = {}
        for path in self.staging.glob("*-of-*.json"):
            with contextlib.suppress(FileNotFoundError):  # Being swept away by an orphan.
                attempt = json.loads(path.read_bytes())["path"]
                found[path.stem] = (self.staging / attempt).stat().st_ino
        return found | self.published()

    def published(self) -> dict[str, int]:
        """Returns the inode of every data file of the new run, by shard."""
        run = self.new_run()
        return {} if run is None else inodes(run)

    def _latest(self) -> str:
        return (self.output / "LATEST").read_text().strip()

    def _run_names(self) -> list[str]:
        return sorted(name for name in os.listdir(self.output) if _RUN_NAME.fullmatch(name))

    def _identity(self) -> object:
        """What changes when a new run takes its place."""
        if self._is_root:
            return self._run_names()[-1]
        with contextlib.suppress(FileNotFoundError):
            return self.output.stat().st_ino
        return None


def inodes(run: pathlib.Path) -> dict[str, int]:
    """Returns the inode of every data file of a run, by shard."""
    return {
        match.group(): path.stat().st_ino
        for path in run.glob("*-of-*")
        if (match := _SHARD.search(path.name))
    }


def contents(run: pathlib.Path) -> dict[str, str]:
    """Returns the sha256 of all that must be the same in every run of the same inputs, by name."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


class Watch(threading.Thread):
    """A reader that looks as fast as it can, from start to stop.

    Attributes:
        looks: How often it looked.
        whole: How many of these saw a whole run; the others, as a rule, saw that there is none.
        void: How many were cut short because the directory was replaced.
        faults: How many looks saw a part of a run, or an earlier state again.
        shown: The first of them, in words.
        seen: The states, in order.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(name="reader")
        self._site = site
        self._is_over = threading.Event()
        self.looks = self.whole = self.void = self.faults = 0
        self.shown: list[str] = []
        self.seen: list[str | None] = []

    def run(self) -> None:
        """Looks until it is told to stop."""
        while not self._is_over.is_set():
            self._look()

    def _look(self) -> None:
        self.looks += 1
        try:
            found = self._site.look()
        except Exception as error:  # A reader that fails has seen a fault, whatever it is.
            found = Look("unreadable", repr(error))
        if found is None:
            self.void += 1
            return
        fault = found.fault
        if not self.seen or found.run_id != self.seen[-1]:
            if self.seen and (found.run_id is None or found.run_id in self.seen):
                fault = fault or f"{found.run_id} came after {self.seen[-1]}"
            self.seen.append(found.run_id)
        self.whole += found.run_id is not None and fault is None
        if fault is not None:
            self.faults += 1
            self.shown = [*self.shown, f"reader: {fault}"][:FAULTS_SHOWN]

    def __enter__(self) -> "Watch":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self.join()


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
        _link(self._photos, self._half, names[::2])
        _link(self._photos, self._collection, names[:-CHANGED_EVERY])

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
        with Watch(site) as watch:
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
            left = _outlive(session)
            if left:
                faults += [f"after the orphans: {f}" for f in _faults_of(site, wanted.contents)]
            if _outlive(resumed):
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
        _link(self._photos, self._collection, sorted(os.listdir(self._photos))[-CHANGED_EVERY:])


def draw_images(directory: pathlib.Path, count: int) -> None:
    """Writes JPEG files, no two alike; one in UNDECODABLE_EVERY cannot be decoded."""
    import numpy as np

    from tests.support.images import encode, photo

    directory.mkdir()
    pictures = [photo(HEIGHT, WIDTH, seed) // 2 for seed in range(min(PICTURES, count))]
    for number in range(count):
        picture = pictures[number % len(pictures)] + np.uint8(number // len(pictures) % 128)
        content = encode(picture, "JPEG", quality=90)
        if number % UNDECODABLE_EVERY == 7:
            content = (content[: len(content) // 2], b"no image", b"")[number % 3]
        (directory / f"{number:06d}.jpg").write_bytes(content)


def make_models(directory: pathlib.Path) -> dict[str, str]:
    """Writes a tiny feature vector and a tiny classifier."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from tests.support.models import save_logits, save_mean_color

    return {
        "embed": save_mean_color(directory / "embed"),
        "classify": save_logits(directory / "classify", labels=("red", "green", "blue")),
    }


def start_and_kill(
    argv: Sequence[str], code: pathlib.Path, log: pathlib.Path, site: Site, moment: Moment
) -> int:
    """Starts a process in a session of its own, and kills it, only it, when the moment comes.

    Returns:
        The session.
    """
    process = _start(argv, code, log)
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while not site.happened(moment.trigger) and time.monotonic() < deadline:
            if process.poll() is not None:  # It was over before anybody noticed.
                break
        time.sleep(moment.delay)
    finally:
        process.kill()
        process.wait()
    return process.pid


def finish(argv: Sequence[str], code: pathlib.Path, log: pathlib.Path) -> tuple[int, int]:
    """Runs a command to its end; returns its exit code and its session."""
    process = _start(argv, code, log)
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait(), process.pid


def _start(argv: Sequence[str], code: pathlib.Path, log: pathlib.Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(argv, cwd=code, stdout=file, stderr=file, start_new_session=True)


def processes_of(session: int) -> list[int]:
    """Lists the living processes of a session."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # Ended meanwhile.
            state, _, _, its_session = path.read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state != "Z":
                found.append(int(path.parent.name))
    return found


def _outlive(session: int) -> int:
    """Waits for the processes of a session, then kills them; returns how many lived at first."""
    first = len(processes_of(session))
    deadline = time.monotonic() + STRAGGLERS_SECONDS
    while processes_of(session) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in processes_of(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return first


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


def _link(source: pathlib.Path, target: pathlib.Path, names: Sequence[str]) -> None:
    target.mkdir(exist_ok=True)
    for name in names:
        os.link(source / name, target / name)


def choose_moments(
    kills: int, chance: random.Random, seconds_of: Callable[[Scenario], float]
) -> Iterator[tuple[Scenario, Moment]]:
    """Chooses what to kill and when: each scenario by turns near its end and before."""
    turns: Counter[Scenario] = Counter()
    late = itertools.cycle(LATE)
    for scenario in itertools.islice(itertools.cycle(CYCLE), kills):
        seconds = seconds_of(scenario)
        match turns[scenario] % 4:
            case 1:
                moment = Moment(Trigger.START, chance.uniform(0, seconds))
            case 3:
                moment = Moment(Trigger.COMMIT, chance.uniform(0, AT_WORK_SHARE * seconds))
            case _:
                moment = Moment(next(late), chance.uniform(0, LATE_DELAY_SECONDS))
        yield scenario, moment
        turns[scenario] += 1


def describe(outcome: Outcome) -> str:
    """Says in one line what came of a kill."""
    moment = f"{outcome.moment.trigger.value} + {outcome.moment.delay * 1000:.0f} ms"
    phase = outcome.phase.value
    if outcome.phase is Phase.WORKING:
        phase += f" ({outcome.committed} of {outcome.shards} shards committed)"
    verdict = "identical" if outcome.is_identical else "DIFFERS"
    watch = outcome.watch
    orphans = (
        "; orphans {}, after resume {}".format(*outcome.orphans) if any(outcome.orphans) else ""
    )
    return (
        f"{outcome.scenario.name:<11}  {moment:<23}  {phase:<39}  {verdict}; "
        f"{watch.faults} partial in {watch.looks:,} looks ({watch.whole:,} at a run, {watch.void} "
        f"void); {outcome.recomputed} recomputed{orphans}"
    )


def print_summary(outcomes: Sequence[Outcome]) -> None:
    """Prints a table by phase, and the sum of it."""
    print("\n| killed | kills | identical | partial views | committed | recomputed | scenarios |")
    print("|---|---|---|---|---|---|---|")
    for phase in Phase:
        row = [outcome for outcome in outcomes if outcome.phase is phase]
        counts = Counter(outcome.scenario.name for outcome in row)
        scenarios = ", ".join(f"{name} {count}" for name, count in counts.items())
        print(f"| {phase.value} | {_sums(row)} | {scenarios} |")
    print(f"| all | {_sums(outcomes)} | |")
    looks, whole, void, faults = (
        sum(getattr(outcome.watch, name) for outcome in outcomes)
        for name in ("looks", "whole", "void", "faults")
    )
    print(
        f"\n{sum(outcome.is_identical for outcome in outcomes)} of {len(outcomes)} identical, "
        f"{faults} partial views, "
        f"{sum(outcome.recomputed for outcome in outcomes)} committed shards recomputed\n"
        f"({looks:,} looks, {whole:,} of them at a whole run; during {void} the directory was "
        "replaced)"
    )


def _sums(outcomes: Sequence[Outcome]) -> str:
    cells: list[Any] = [
        len(outcomes),
        sum(outcome.is_identical for outcome in outcomes),
        sum(outcome.watch.faults for outcome in outcomes),
        sum(outcome.committed for outcome in outcomes),
        sum(outcome.recomputed for outcome in outcomes),
    ]
    return " | ".join(map(str, cells))


def main() -> int:
    """Makes the inputs, kills, reports; returns 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
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
