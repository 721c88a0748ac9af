"""python -m pipelines.index: an index of a run's vectors, for searches that need not read them."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipelines.cli.flag import OPTIONS, argument, flag
from pipelines.cli.outcome import JsonFlags, Outcome
from pipelines.cli.program import Program, run_program
from pipelines.cli.wording import say
from transforms.errors import OutputError
from transforms.machine.garbage import exit_at_once

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    import numpy as np
    import numpy.typing as npt

    from transforms.runs.embedding_runs import EmbeddingRuns

DESCRIPTION = """\
Builds an index of the vectors of a published run, with faiss, for pipelines.search: that then finds
nearly all of the nearest images without reading the run's vectors. How nearly is measured against
the exact search, and printed. The run is not changed; the index lies beside it, in RUN.index.

  python -m pipelines.embed --input photos/ --model my_model/ --output vectors/
  python -m pipelines.index vectors/
  python -m pipelines.search vectors/ --image cat.jpg"""

_EPILOG = "exit codes: 0 written; 2 bad flag or run"


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndexConfig(JsonFlags):
    """The flags of pipelines.index."""

    run: str = argument(
        "a run of pipelines.embed, or a refresh's --output_root: then the run that LATEST names",
        "RUN",
    )
    output: str | None = flag(
        "where the index goes (default RUN.index); give it to pipelines.search as --index",
        OPTIONS,
        metavar="DIR",
    )
    overwrite: bool = flag("replace an index that is there, once this is done", OPTIONS, False)


PROGRAM = Program("index", IndexConfig, DESCRIPTION, usage="RUN [flags]", epilog=_EPILOG)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: 0, or 2 for a bad flag or run."""
    return run_program(argv, PROGRAM, _index)


def _index(config: IndexConfig) -> Outcome:
    from transforms.explore.index_files import (
        check_index_directory,
        has_index,
        index_directory,
        write_index,
    )
    from transforms.machine.extras import import_extra
    from transforms.runs.directory import absolute_output
    from transforms.runs.embedding_runs import open_embedding_runs
    from transforms.runs.rows import read_vectors
    from transforms.vectors.ann_index import RECALL_AT, build_index, plan_index
    from transforms.vectors.one_number import refuse_one_number

    import_extra("faiss")  # Before any reading.
    runs = open_embedding_runs([config.run])
    (run,) = runs.runs
    directory = absolute_output(config.output) if config.output else index_directory(run)
    check_index_directory(run, directory)
    if has_index(directory) and not config.overwrite:
        raise OutputError(f"{directory} holds an index already; --overwrite replaces it")
    rows, dim = runs.shape()
    refuse_one_number(dim, run.directory)
    say("vectors", f"{rows:,} of {dim:,} numbers, of {run.directory}")
    plan = plan_index(rows, dim)
    started = time.perf_counter()
    sample = read_vectors(run, plan.sample)
    read = time.perf_counter()
    trained = []
    index = build_index(
        plan,
        sample,
        _show_progress(runs, rows),
        lambda: trained.append(time.perf_counter()),
    )
    built = time.perf_counter()
    seconds = {"sample": read - started, "train": trained[0] - read, "add": built - trained[0]}
    try:
        written = write_index(index, run, directory, seconds)
    except OSError as error:
        raise OutputError(f"{directory} cannot be written: {error}") from error
    say("built", f"{index.kind} in {built - started:.1f} s")
    where = f"in {index.probes:,} of its lists" if index.probes else "which are all compared"
    say("recall", f"{index.recall:.3f} of the {RECALL_AT} nearest vectors, {where}")
    say("written", f"{written.path}, {written.size_bytes:,} bytes")
    facts = {
        "run": run.directory,
        "vectors": rows,
        "embedding_dim": dim,
        "kind": index.kind,
        "probes": index.probes,
        "recall": index.recall,
        "recall_at": RECALL_AT,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "index": written.path,
        "bytes": written.size_bytes,
    }
    return Outcome(facts=facts)


def _show_progress(runs: "EmbeddingRuns", rows: int) -> "Iterator[npt.NDArray[np.float32]]":
    """Yields the vectors, and shows on a terminal how many have been."""
    from pipelines.cli.bars import counting_bar

    with counting_bar("adding", rows, "vectors") as advance:
        for vectors in runs.vectors():
            yield vectors
            advance(len(vectors))


if __name__ == "__main__":
    exit_at_once(main())
