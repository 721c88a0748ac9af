"""python -m pipelines.verify: whether a published run is what its _run.json says."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.cli.flag import OPTIONS, argument, flag
from pipelines.cli.outcome import JsonFlags, Outcome
from pipelines.cli.program import EXIT_FAILED, Program, run_program
from transforms.errors import FlagError, InputError, printable
from transforms.machine.garbage import exit_at_once

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    from transforms.verify.verification import Verification

DESCRIPTION = """\
Checks published runs again: every file's size and sha256, columns, footer and rows, and that all
counts reconcile with _run.json. Changes nothing. Each thing that is wrong is one line:
FILE: what, got, wanted.

  python -m pipelines.verify vectors/
  python -m pipelines.verify refreshed/ labels/ gs://bucket/vectors --allow_zero_vectors"""

_SHOWN_BYTES = 60
_EPILOG = "exit codes: 0 all is well; 1 something is wrong; 2 bad flag, or a RUN is no directory"


@dataclasses.dataclass(frozen=True, kw_only=True)
class VerifyConfig(JsonFlags):
    """The flags of pipelines.verify."""

    runs: tuple[str, ...] = argument(
        "a run's directory, or a refresh's --output_root: then the run that LATEST names",
        "RUN",
        repeatable=True,
    )
    allow_zero_vectors: bool = flag(
        "let embeddings be 0 throughout; otherwise each such row is a finding", OPTIONS, False
    )


PROGRAM = Program(
    "verify", VerifyConfig, DESCRIPTION, usage="RUN [RUN ...] [flags]", epilog=_EPILOG
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: 0, 1 if something is wrong, 2 for a bad flag."""
    return run_program(argv, PROGRAM, _verify)


def _verify(config: VerifyConfig) -> Outcome:
    for run in config.runs:
        _check_directory(run)
    checked = [_verify_run(run, config.allow_zero_vectors) for run in config.runs]
    is_well = all(run["is_well"] for run in checked)
    return Outcome(facts={"runs": checked}, exit_code=0 if is_well else EXIT_FAILED)


def _check_directory(run: str) -> None:
    """Checks that a RUN is a directory.

    Raises:
        UserError: If not.
    """
    from transforms.files.file_systems import list_files  # Beam: --help does without.
    from transforms.files.uris import is_local
    from transforms.runs.directory import absolute_output

    directory = absolute_output(run)
    if set("*?[").intersection(run) and not os.path.isdir(directory):
        raise FlagError(f"{run} is no directory; here *, ? and [ are a name's own, no wildcards")
    try:
        found = list_files(directory)
    except (OSError, ValueError) as error:  # ValueError: an unknown scheme.
        raise InputError(f"{run} cannot be listed: {error}") from error
    if not found and not (is_local(directory) and os.path.isdir(directory)):
        raise InputError(f"{run} is no directory; wanted a run or a refresh's --output_root")


def _verify_run(run: str, allow_zero_vectors: bool) -> dict[str, Any]:
    """Checks a run, prints a line a finding, and returns the facts."""
    from transforms.files.atomic_files import read_whole
    from transforms.files.file_systems import FileSystems
    from transforms.runs.directory import absolute_output
    from transforms.runs.finding import Finding
    from transforms.runs.root import LATEST, latest_run
    from transforms.verify.verification import Verification

    given, shown, note = absolute_output(run), run.rstrip("/"), ""
    directory = latest_run(given)
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        _print_line(f"{shown}/{finding}")

    counts = {}
    if directory is None:
        content = read_whole(FileSystems.join(given, LATEST))[:_SHOWN_BYTES]
        tell(
            Finding(LATEST, "content", repr(content.decode(errors="replace")), "the name of a run")
        )
    else:
        if directory != given:
            note, shown = f"LATEST of {shown}, ", f"{shown}/{directory.rpartition('/')[2]}"
        verification = Verification(directory, allow_zero_vectors=allow_zero_vectors)
        for finding in verification.findings():
            tell(finding)
        if not findings:
            counts = _count(verification)
            _print_line(f"{shown}: {note}all is well, {_describe(counts)}")
    return {
        "run": directory or given,
        "is_well": not findings,
        "findings": [dataclasses.asdict(finding) for finding in findings],
        **counts,
    }


def _print_line(text: str) -> None:
    print(printable(text), flush=True)


def _count(verification: "Verification") -> dict[str, int | None]:
    counts = verification.record["counts"]
    return {
        "files": len(verification.shards),
        "rows": counts["written"],
        "failures": counts["failed"],
        "bytes": sum(shard.data.size_bytes for shard in verification.shards),
        "truncated_files": sum(
            account.is_cut_short for shard in verification.shards for account in shard.files
        ),
        "embedding_dim": verification.embedding_dim,
    }


def _describe(counts: Mapping[str, int | None]) -> str:
    parts = [f"{name} {counts[name]:,}" for name in ("files", "rows", "failures", "bytes")]
    if truncated := counts["truncated_files"]:
        parts.append(f"files not read to their ends {truncated:,}")
    if counts["embedding_dim"] is not None:
        parts.append(f"dimension {counts['embedding_dim']}")
    return ", ".join(parts)


if __name__ == "__main__":
    exit_at_once(main())
