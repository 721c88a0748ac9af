"""What pipelines.search does once its flags are read: queries, neighbours, table, page."""

import dataclasses
import shlex
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.cli.outcome import Outcome
from pipelines.cli.page_file import place_page, write_page
from pipelines.cli.search_flags import SearchConfig
from pipelines.cli.wording import say
from pipelines.explore.search_queries import SIDE_PIXELS, Query, read_queries
from transforms.errors import InputError, printable
from transforms.explore.index_files import Unusable, index_directory, read_index
from transforms.explore.page import render_page
from transforms.explore.projector_files import MAX_POINTS, write_projector
from transforms.explore.thumbnails import Thumbnail, read_thumbnails, thumbnail_columns
from transforms.machine.extras import import_extra
from transforms.runs.directory import absolute_output
from transforms.runs.embedding_runs import EmbeddingRuns, open_embedding_runs
from transforms.runs.rows import take_rows
from transforms.schemas import CONTENT_SHA256, HEIGHT, IMAGE_ID, URI, WIDTH
from transforms.vectors.ann_index import RECALL_AT
from transforms.vectors.exact_search import search_exactly
from transforms.vectors.neighbours import Neighbours, normalize
from transforms.vectors.one_number import refuse_one_number


@dataclasses.dataclass(frozen=True)
class Match:
    """An image that was found.

    Attributes:
        rank: Place among the images found, from 1.
        cosine: Cosine between its vector and the query's, from -1 to 1.
        image_id: Key of the image in the run.
        uri: URI of the image, as the run has it.
        is_same_file: Whether its bytes are the query's.
        thumbnail: Small picture of the image, or why there is none.
        content_sha256: sha256 of its bytes, hexadecimal.
        size: Words for its size and format.
    """

    rank: int
    cosine: float
    image_id: str
    uri: str
    is_same_file: bool
    thumbnail: Thumbnail
    content_sha256: str
    size: str


@dataclasses.dataclass(frozen=True)
class Found:
    """A query with what was found, the nearest first; the fields of Query are the template's."""

    name: str
    thumbnail: Thumbnail
    matches: tuple[Match, ...]

    @property
    def pictures(self) -> list[list[Match]]:
        """The matches by their bytes, the nearest first: of copies a page shows one."""
        groups: dict[str, list[Match]] = {}
        for match in self.matches:
            groups.setdefault(match.content_sha256, []).append(match)
        return [*groups.values()]


def search(config: SearchConfig) -> Outcome:
    """Does what the flags of pipelines.search say; returns the outcome.

    Raises:
        UserError: If an image, the run, its model or an output cannot work.
    """
    for package in ("faiss", "jinja2"):  # Before any work.
        import_extra(package)
    runs = open_embedding_runs([config.run])
    (run,) = runs.runs
    page = place_page(config.output, run)
    rows, dim = runs.shape()
    say("vectors", f"{rows:,} of {dim:,} numbers, of {run.directory}")
    facts: dict[str, Any] = {"run": run.directory, "vectors": rows, "embedding_dim": dim}
    if config.export_projector:
        facts["projector"] = _export(runs, config.export_projector)
    if not (config.image or config.image_id):
        return Outcome(facts=facts)
    refuse_one_number(dim, run.directory)
    queries, vectors = read_queries(runs, config.image, config.image_id, config.model)
    neighbours, how = _find(runs, normalize(vectors), config)
    found = _gather(runs, queries, neighbours, config.top_k)
    say("search", how)
    for query in found:
        _print_table(query)
    model = run.record["model"]
    html = render_page(
        "search.html",
        title=f"Nearest images in {run.name}",
        facts=[
            ("run", run.directory),
            ("model", model["handle"]),
            ("vectors", f"{rows:,} of {dim:,} numbers"),
            ("search", how),
        ],
        queries=found,
    )
    write_page(page, html)
    print()
    say("page", config.output)
    matches = [{"query": query.name, "matches": _match_facts(query)} for query in found]
    return Outcome(facts={**facts, "search": how, "queries": matches, "page": page})


def _match_facts(found: Found) -> list[dict[str, Any]]:
    names = ("rank", "cosine", "image_id", "uri", "is_same_file")
    return [{name: getattr(match, name) for name in names} for match in found.matches]


def _export(runs: EmbeddingRuns, directory: str) -> dict[str, Any]:
    written = write_projector(runs, directory)
    note = "" if written.rows == written.of else f" of {written.of:,}, drawn by lot"
    say("projector", f"{written.rows:,} images{note}, at most {MAX_POINTS:,}, in {directory}")
    if written.without_picture:
        say("", f"{written.without_picture:,} of them are gone or damaged, and gray")
    say("go on", f"tensorboard --logdir {shlex.quote(directory)}, then choose PROJECTOR")
    return {"directory": directory, "images": written.rows, "of": written.of}


def _find(
    runs: EmbeddingRuns, queries: npt.NDArray[np.float32], config: SearchConfig
) -> tuple[Neighbours, str]:
    """Finds neighbours, one more than wanted: a query of the run finds itself; and says how."""
    (run,) = runs.runs
    count = config.top_k + 1
    if not config.exact:
        started = time.perf_counter()
        directory = absolute_output(config.index) if config.index else index_directory(run)
        index = read_index(run, directory)
        if isinstance(index, Unusable):
            say("ignored", f"the index {directory} {index.reason}")
        elif index is None and config.index:
            raise InputError(f"--index {config.index} holds no index; pipelines.index makes one")
        elif index is not None:
            loaded = time.perf_counter()
            neighbours = index.search(queries, count)
            took = time.perf_counter() - loaded
            return neighbours, (
                f"by index, recall {index.recall:.3f} of the {RECALL_AT} nearest; loaded in "
                f"{loaded - started:.2f} s, searched in {took:.3f} s"
            )
    started = time.perf_counter()
    searched = search_exactly(runs.vectors(), queries, count)
    read = time.perf_counter() - started - searched.seconds
    return searched.best, f"exact; read in {read:.2f} s, searched in {searched.seconds:.3f} s"


def _gather(
    runs: EmbeddingRuns, queries: Sequence[Query], neighbours: Neighbours, top_k: int
) -> list[Found]:
    """Reads what is known of the neighbours of each query."""
    (run,) = runs.runs
    kept = [
        [
            (int(row), float(cosine))
            for row, cosine in zip(rows, cosines, strict=True)
            if row >= 0 and row != query.row
        ][:top_k]
        for query, rows, cosines in zip(queries, *neighbours, strict=True)
    ]
    rows = np.unique(np.array([row for near in kept for row, _ in near], np.int64))
    table = take_rows(run, rows, [IMAGE_ID, *thumbnail_columns(run.record), HEIGHT, WIDTH])
    pictures = read_thumbnails(run.record, table, SIDE_PIXELS)
    ids, uris, hashes = (table[name].to_pylist() for name in (IMAGE_ID, URI, CONTENT_SHA256))
    sizes = [
        f"{height:,} x {width:,} pixels {picture.format}".rstrip()
        for height, width, picture in zip(
            *(table[name].to_pylist() for name in (HEIGHT, WIDTH)), pictures, strict=True
        )
    ]
    place_of = {row: place for place, row in enumerate(rows.tolist())}

    def matches(query: Query, near: list[tuple[int, float]]) -> Iterator[Match]:
        for rank, (row, cosine) in enumerate(near, 1):
            place = place_of[row]
            content = hashes[place]
            is_same = content == query.content_sha256
            named = ids[place], uris[place], is_same, pictures[place]
            yield Match(rank, cosine, *named, content, sizes[place])

    return [
        Found(query.name, query.thumbnail, tuple(matches(query, near)))
        for query, near in zip(queries, kept, strict=True)
    ]


def _print_table(found: Found) -> None:
    print(f"\nnearest to {printable(found.name)}")
    width = len(str(len(found.matches)))
    for match in found.matches:
        note = "  (the same file content)" if match.is_same_file else ""
        print(f"  {match.rank:>{width}}  {match.cosine:7.4f}  {printable(match.image_id)}{note}")
