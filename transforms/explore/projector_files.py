"""The files of TensorBoard's Embedding Projector: vectors, what is known of them, pictures."""

import io
import math
import os
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import PIL.Image
import pyarrow as pa
import pyarrow.csv

from transforms.errors import InputError, OutputError
from transforms.explore.thumbnails import Thumbnail, read_thumbnails, thumbnail_columns
from transforms.files.file_uris import without_file_scheme
from transforms.files.uris import is_local
from transforms.runs.embedding_runs import EmbeddingRuns
from transforms.runs.record import PublishedRun
from transforms.runs.row_labels import labels_of_column, labels_of_directories
from transforms.runs.rows import read_vectors, take_rows
from transforms.schemas import IMAGE_ID, URI

MAX_POINTS = 10_000
"""What the projector's t-SNE takes; of more it draws as many itself, in the browser."""

CONFIG_FILE = "projector_config.pbtxt"
VECTORS_FILE, METADATA_FILE, SPRITE_FILE = "vectors.tsv", "metadata.tsv", "sprite.png"

_PARENT_DIR = "parent_dir"
_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})

_LARGEST_SIDE_PIXELS = 64
_SHEET_PIXELS = 4096
"""Longest side of a sheet: what any graphics card takes as a texture; TensorBoard refuses 8192."""

_GRAY = (128, 128, 128)


class SpriteSheet:
    """Takes pictures one by one and draws each in a square of its own.

    Attributes:
        side_pixels: Side of a square, in pixels.
        absent: Pictures so far that are none: gray squares.
    """

    def __init__(self, count: int) -> None:
        """Makes an empty sheet.

        Args:
            count: Pictures, at least one.
        """
        self._columns = math.ceil(math.sqrt(count))
        self.side_pixels = min(_LARGEST_SIDE_PIXELS, _SHEET_PIXELS // self._columns)
        side = self._columns * self.side_pixels
        # A square: TensorBoard counts the squares of a row by the width alone.
        self._sheet = PIL.Image.new("RGB", (side, side), _GRAY)
        self._added = self.absent = 0

    def add(self, thumbnail: Thumbnail) -> None:
        """Draws the next picture, in the middle of its square."""
        row, column = divmod(self._added, self._columns)
        self._added += 1
        if not thumbnail.jpeg:
            self.absent += 1
            return
        with PIL.Image.open(io.BytesIO(thumbnail.jpeg), formats=("JPEG",)) as picture:
            left = column * self.side_pixels + (self.side_pixels - picture.width) // 2
            top = row * self.side_pixels + (self.side_pixels - picture.height) // 2
            self._sheet.paste(picture, (left, top))

    def save(self, path: str) -> None:
        """Writes a PNG file.

        Raises:
            OSError: If it cannot.
        """
        self._sheet.save(path, "PNG")


class WrittenProjector(NamedTuple):
    """The files of a projector as they were written.

    Attributes:
        rows: Images in it.
        of: Images of the run.
        without_picture: Number of rows whose image is gone, damaged, or has changed.
    """

    rows: int
    of: int
    without_picture: int


def write_projector(runs: EmbeddingRuns, directory: str) -> WrittenProjector:
    """Writes a directory that `tensorboard --logdir` shows; whole or not at all.

    Args:
        runs: Run to show; one alone. Of more than MAX_POINTS images so many are drawn, the same
            every time.
        directory: A local one, absent or empty.

    Raises:
        OutputError: If it is anything else, or cannot be written.
        InputError: If a data file is damaged.

    Source:
        tensorboard/plugins/projector of TensorBoard 2.21: projector_config.proto,
        projector_plugin.py, data-provider.ts.
    """
    (run,) = runs.runs
    path = _check_directory(directory, run)
    total, dim = runs.shape()
    chosen = np.random.default_rng(0).choice(total, min(total, MAX_POINTS), replace=False)
    rows = np.sort(chosen)
    carried = list(runs.record["columns"]["carry_columns"])
    names = dict.fromkeys([IMAGE_ID, *thumbnail_columns(run.record), *carried])
    table = take_rows(run, rows, list(names))
    sheet = SpriteSheet(len(rows))
    for thumbnail in read_thumbnails(run.record, table, sheet.side_pixels):
        sheet.add(thumbnail)
    try:
        parent = os.path.dirname(path)
        os.makedirs(parent, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".projector.", dir=parent) as scratch:
            complete = os.path.join(scratch, "complete")
            os.mkdir(complete)
            _write_vectors(os.path.join(complete, VECTORS_FILE), read_vectors(run, rows))
            _write_text(os.path.join(complete, METADATA_FILE), _metadata(table, carried))
            sheet.save(os.path.join(complete, SPRITE_FILE))
            _write_text(os.path.join(complete, CONFIG_FILE), [_config(len(rows), dim, sheet)])
            os.rename(complete, path)
    except OSError as error:
        raise OutputError(f"cannot write {directory}: {error}") from error
    return WrittenProjector(len(rows), total, sheet.absent)


def _check_directory(directory: str, run: PublishedRun) -> str:
    path = without_file_scheme(directory)
    if not is_local(path):
        raise OutputError(f"{directory} is not on this machine; write a local one and copy it")
    path = os.path.realpath(path)
    if path.startswith(f"{run.directory}/"):
        raise OutputError(f"{directory} is in the run, which must stay as it was published")
    try:
        if os.path.lexists(path) and os.listdir(path):
            raise OutputError(f"{directory} is not empty; choose an empty or new directory")
    except OSError as error:
        raise OutputError(f"{directory} cannot be a directory: {error.strerror}") from error
    return path


def _write_vectors(path: str, vectors: npt.NDArray[np.float32]) -> None:
    """Writes vectors as text: TensorBoard would have to guess that a file of bytes is none."""
    names = [str(column) for column in range(vectors.shape[1])]
    table = pa.Table.from_arrays(list(map(pa.array, vectors.T.copy())), names=names)
    options = pyarrow.csv.WriteOptions(include_header=False, delimiter="\t")
    pyarrow.csv.write_csv(table, path, options)


def _metadata(table: pa.Table, carried: list[str]) -> Iterator[str]:
    """Yields the lines: first the columns' names, which a file of one column would not have."""
    columns = {IMAGE_ID: table[IMAGE_ID].to_pylist()}
    parents = labels_of_directories(table[URI]).to_pylist()
    columns[_PARENT_DIR] = [labels[0] if labels else "" for labels in parents]
    for name in carried:
        try:
            labels = labels_of_column(table[name]).to_pylist()
        except InputError:  # Numbers with a point, or structures: no labels.
            continue
        columns[name] = [", ".join(filter(None, entry or [])) for entry in labels]
    for cells in [tuple(columns), *zip(*columns.values(), strict=True)]:
        yield "\t".join(cell.translate(_ESCAPES) for cell in cells) + "\n"


def _config(rows: int, dim: int, sheet: SpriteSheet) -> str:
    """Returns a ProjectorConfig as text; all in it is ours."""
    return f"""\
embeddings {{
  tensor_name: "vectors"
  tensor_path: "{VECTORS_FILE}"
  tensor_shape: {rows}
  tensor_shape: {dim}
  metadata_path: "{METADATA_FILE}"
  sprite {{
    image_path: "{SPRITE_FILE}"
    single_image_dim: {sheet.side_pixels}
    single_image_dim: {sheet.side_pixels}
  }}
}}
"""


def _write_text(path: str, lines: Iterator[str] | list[str]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)
