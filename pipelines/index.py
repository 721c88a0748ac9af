"""python -m pipelines.index: an index of a run's vectors, for searches that need not read them."""

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipelines.cli.parser import refuse_in_one_line
from pipelines.cli.program import report_errors
from transforms.errors import OutputError
from transforms.machine.garbage import exit_at_once
from transforms.machine.noise import quiet_libraries

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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: 0, or 2 for a bad flag or run."""

    def work() -> int:
        arguments = _make_parser().parse_args(argv)
        with quiet_libraries():
            return _index(arguments)

    return report_errors("index", work)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.index",
        description=DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    refuse_in_one_line(parser)
    parser.add_argument(
        "run",
        metavar="RUN",
        help="a run of pipelines.embed, or a refresh's --output_root: then the run that LATEST "
        "names",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="where the index goes (default RUN.index); give it to pipelines.search as --index",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an index that is there, once this is done"
    )
    return parser


def _index(arguments: argparse.Namespace) -> int:
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

    import_extra("faiss")  # Before any reading.
    runs = open_embedding_runs([arguments.run])
    (run,) = runs.runs
    directory = absolute_output(arguments.output) if arguments.output else index_directory(run)
    check_index_directory(run, directory)
    if has_index(directory) and not arguments.overwrite:
        raise OutputError(f"{directory} holds an index already; --overwrite replaces it")
    rows, dim = runs.shape()
    _say("vectors", f"{rows:,} of {dim:,} numbers, of {run.directory}")
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
    _say("built", f"{index.kind} in {built - started:.1f} s")
    where = f"in {index.probes:,} of its lists" if index.probes else "which are all compared"
    _say("recall", f"{index.recall:.3f} of the {RECALL_AT} nearest vectors, {where}")
    _say("written", f"{written.path}, {written.size_bytes:,} bytes")
    return 0


def _show_progress(runs: "EmbeddingRuns", rows: int) -> "Iterator[npt.NDArray[np.float32]]":
    """Yields the vectors, and shows on a terminal how many have been."""
    from pipelines.cli.counting_bar import counting_bar

    with counting_bar("adding", rows, "vectors") as advance:
        for vectors in runs.vectors():
            yield vectors
            advance(len(vectors))


def _say(name: str, text: str) -> None:
    print(f"{name:<9} {text}", flush=True)


if __name__ == "__main__":
    exit_at_once(main())
