"""What the user may say to pipelines.one_pass, and the files in which the runs are described."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.cli.classify_flags import ClassifyConfig
from pipelines.cli.config_file import BEAM, load_flags, read_flags
from pipelines.cli.embed_flags import EmbedConfig
from pipelines.cli.flag import OPTIONS, REQUIRED, flag
from pipelines.cli.forecast_flags import PLAN_FLAGS
from pipelines.cli.launcher_flags import LAUNCHER_FLAGS, ReportFlags
from pipelines.cli.refresh_flags import RefreshConfig, output_of
from pipelines.cli.run_flags import SingleRunConfig
from transforms.errors import FlagError, UserError

_PROGRAM = "program"
_CONFIGS: dict[str, type[SingleRunConfig]] = {"embed": EmbedConfig, "classify": ClassifyConfig}

_NOT_HERE = {
    **dict.fromkeys((*LAUNCHER_FLAGS, BEAM), "belongs on the command line, for all runs"),
    **dict.fromkeys((*PLAN_FLAGS, "retry_failed"), "is for a run alone"),
}
"""Flags that a run of a pass cannot have, and why."""

SHARED_FLAGS = (
    "input", "input_format", "exclude", "follow_links", "manifest", "uri_column",
    "allow_private_hosts", "image_key", "image_id_from", "carry_columns", "boxes", "batch_size",
    "num_model_threads", "max_image_bytes", "rows_per_file", "max_reads", "max_read_memory",
    "storage_timeout", "deduplicate", "inference_hints",
)  # fmt: skip
"""Flags that say what is read, how it is cut into shards and batches, and by what workers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnePassConfig(ReportFlags):
    """The flags of pipelines.one_pass."""

    config: tuple[str, ...] = flag(
        "files of flags, in YAML: a run each",
        OPTIONS,
        REQUIRED,
        metavar="FILE",
        repeatable=True,
    )


@dataclasses.dataclass(frozen=True)
class RunFile:
    """A run of a pass.

    Attributes:
        path: Path of its file.
        program: "embed" or "classify".
        config: Flags of the run.
    """

    path: str
    program: str
    config: SingleRunConfig | RefreshConfig

    @property
    def place(self) -> str:
        """Directory of the run, or of the runs of a refresh, absolute."""
        return output_of(self.config)


@contextlib.contextmanager
def naming(file: RunFile) -> Iterator[None]:
    """Says of what is wrong with a run which file it is of."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"{file.path}: {error}") from error


def read_run_files(paths: Sequence[str]) -> list[RunFile]:
    """Reads the files of a pass, and checks that its runs go together.

    A file is one of --config, and says beside the flags what program it is for: embed or classify.
    One that has output_root is a refresh.

    Raises:
        FlagError: If a file makes no sense, or two do not go together; names files and flag.
    """
    files = [_read(path) for path in paths]
    for name, first, other in _differences(files):
        mine, theirs = (getattr(file.config, name) for file in (first, other))
        raise FlagError(
            f"--config: {name} is {_describe(mine)} in {first.path} and {_describe(theirs)} in "
            f"{other.path}; what one pass reads is the same for all of its runs"
        )
    places: dict[str, RunFile] = {}
    for file in files:
        if (first := places.setdefault(file.place, file)) is not file:
            raise FlagError(f"--config: {first.path} and {file.path} both write to {file.place}")
    for outer, inner in itertools.permutations(files, 2):
        is_run = not isinstance(outer.config, RefreshConfig)
        if is_run and inner.place.startswith(f"{outer.place}/"):
            raise FlagError(
                f"--config: {inner.path} writes to {inner.place}, inside of {outer.place}, the "
                f"output of {outer.path}; choose a directory beside it"
            )
    return files


def _read(path: str) -> RunFile:
    content = load_flags(path)
    for name in content:
        if name in _NOT_HERE:
            raise FlagError(f"--config {path}: {name} {_NOT_HERE[name]}")
    config_class: type[SingleRunConfig | RefreshConfig] = RefreshConfig
    if "output_root" not in content:
        program = content.pop(_PROGRAM, None)
        if program not in _CONFIGS:
            raise FlagError(
                f"--config {path}: {_PROGRAM}: got {program!r}, wanted one of "
                f"{' | '.join(_CONFIGS)}; a refresh has output_root"
            )
        config_class = _CONFIGS[program]
    flags = read_flags(config_class, path, content).flags
    try:
        config = config_class(**flags)
    except FlagError as error:
        raise FlagError(f"--config {path}: {error}") from error
    if isinstance(config, RefreshConfig):
        program = config.program
    return RunFile(path, program, config)


def _differences(files: Sequence[RunFile]) -> Iterator[tuple[str, RunFile, RunFile]]:
    """Yields the flags that are not the same in all files, and two files where they differ."""
    for file in files[1:]:
        for name in SHARED_FLAGS:
            if getattr(files[0].config, name) != getattr(file.config, name):
                yield name, files[0], file


def _describe(value: Any) -> str:  # noqa: ANN401 - of any flag
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "empty"
    return "left out" if value is None else str(value)
