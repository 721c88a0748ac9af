"""One contender in a process of its own, which tells its parent when a run begins and ends.

usage: python -m scripts.benchmarks.contender NAME MODEL KEPT PHOTOS...

Each of the directories PHOTOS is a whole run, in turn: it loads its model and writes its files
anew. The files of the first run are left in KEPT.
"""

import importlib
import json
import os
import pathlib
import shutil
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from scripts.benchmarks.registry import find_contender
from transforms.machine.openvino_runtime import report_nothing


class Referee:
    """The line to the process that measures.

    It answers when it has looked at this process, so that no work falls between. Standard output
    becomes standard error, for libraries talk.
    """

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        self._in = os.fdopen(os.dup(0))
        os.dup2(2, 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def tell(self, **message: object) -> None:
        """Says what happens and waits for the answer."""
        print(json.dumps(message), file=self._out, flush=True)
        self._in.readline()


def count_rows(output: pathlib.Path) -> int:
    """Counts what was written."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in output.glob("*.parquet"))


def main(name: str, model: pathlib.Path, kept: pathlib.Path, *photos: pathlib.Path) -> None:
    """Runs a contender over each directory."""
    report_nothing()
    referee = Referee()
    contender = find_contender(name)
    run = importlib.import_module(f"scripts.benchmarks.contenders.{contender.module}").run
    for threads in sorted({1, os.cpu_count() or 1}) if contender.is_part else (None,):
        for directory in photos:
            images = len(os.listdir(directory))
            output = kept.parent / f"{kept.name}.{os.getpid()}"
            output.mkdir()
            referee.tell(event="begin")
            started = time.perf_counter()
            if threads:
                run(directory, model, threads, **contender.arguments)
            else:
                run(directory, model, output, **contender.arguments)
            seconds = time.perf_counter() - started
            referee.tell(event="end", seconds=seconds, images=images, threads=threads)
            if not threads and (rows := count_rows(output)) != images:
                raise SystemExit(f"{name}: {images} images in, {rows} rows out")
            if kept.exists():
                shutil.rmtree(output)
            else:
                output.rename(kept)


if __name__ == "__main__":
    main(sys.argv[1], *map(pathlib.Path, sys.argv[2:]))
