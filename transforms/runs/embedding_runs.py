"""The vectors of published runs: read as arrays, once all are known to be of one making."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.boxes import ImageBox, box_names, boxes_of
from transforms.errors import InputError, ModelError, brief
from transforms.images.policy import LIMITS
from transforms.models.spec import EndpointKind
from transforms.records import ImageRef
from transforms.results import ShardResult
from transforms.runs.data_file import read_schema
from transforms.runs.footers import check_footer, dimension_of
from transforms.runs.recipe import describe_differences, differences
from transforms.runs.record import PublishedRun
from transforms.runs.rows import DAMAGE, open_run, read_shard, to_matrix
from transforms.schemas import CONTENT_SHA256, EMBEDDING, IMAGE_ID, RESERVED, URI

_SHOWN_IDS = 3


class FirstRows(NamedTuple):
    """The first rows of a shard.

    Attributes:
        keys: Pairs of image_id and content_sha256, one a row.
        refs: References to the images; if the shard is a file, places in it.
        boxes: The box of each; None of a whole image.
        vectors: float32 [rows, dim].
    """

    keys: tuple[tuple[str, str], ...]
    refs: tuple[ImageRef, ...]
    boxes: tuple[ImageBox | None, ...]
    vectors: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class EmbeddingRuns:
    """Published runs of pipelines.embed whose vectors can be used together.

    Attributes:
        runs: Runs of one recipe, at least one.
    """

    runs: tuple[PublishedRun, ...]

    @property
    def record(self) -> Mapping[str, Any]:
        """The _run.json of the first; model, preprocessing and recipe are those of all."""
        return self.runs[0].record

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns besides the vector, the carried ones last."""
        own = sorted(RESERVED - {EMBEDDING, "class_index", "class_label", "score"})
        return (*own, *self.record["columns"]["carry_columns"])

    def shape(self) -> tuple[int, int]:
        """Returns how many vectors there are, and of how many numbers each is.

        Raises:
            InputError: If there are none, or the first file is damaged.
        """
        for vectors in self.vectors():
            return sum(shard.rows for _, shard in self._shards()), vectors.shape[1]
        raise InputError(f"{self.runs[0].directory} holds no vectors: no image became a row")

    def read_columns(self, names: Sequence[str]) -> pa.Table:
        """Reads columns other than the vector, of every row, in order.

        Args:
            names: Some of `columns`. A carried column of a TFRecord is one of lists.

        Raises:
            InputError: If a run has no such column, or a file is damaged.
        """
        for name in names:
            if name not in self.columns:
                raise InputError(
                    f"{self.runs[0].directory} has no column {name}; it has "
                    f"{', '.join(self.columns)}"
                )
        batches = [
            batch for _, shard in self._shards() for batch in read_shard(self.record, shard, names)
        ]
        try:
            return pa.concat_tables(
                [pa.Table.from_batches([batch]) for batch in batches if batch.num_rows],
                promote_options="permissive",
            ).replace_schema_metadata()
        except pa.ArrowException as error:
            raise InputError(f"the runs' columns are of different types: {error}") from error

    def vectors(self) -> Iterator[npt.NDArray[np.float32]]:
        """Reads the vectors, in the order of read_columns: float32 [some, embedding_dim] a time.

        Raises:
            InputError: If a file is damaged, was made otherwise than its _run.json says, or a
                vector is not finite.
        """
        dim: int | None = None
        for run, shard in self._shards():
            self._check_footer(run, shard)
            count = 0
            for batch in read_shard(self.record, shard, [IMAGE_ID, EMBEDDING]):
                if not batch.num_rows:
                    continue
                vectors = to_matrix(batch.column(1), shard.data.path)
                dim = dim or vectors.shape[1]
                if vectors.shape[1] != dim:
                    raise InputError(
                        f"{shard.data.path} has vectors of {vectors.shape[1]} numbers, those before"
                        f" have {dim}"
                    )
                if not np.isfinite(vectors).all():
                    row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
                    raise InputError(
                        f"{shard.data.path}: the vector of {batch.column(0)[row]} holds NaN or "
                        "infinity"
                    )
                count += len(vectors)
                yield vectors
            if count != shard.rows:
                raise InputError(f"{shard.data.path} has {count} rows, _run.json says {shard.rows}")

    @property
    def box_names(self) -> tuple[str, ...]:
        """Columns that say the box of a row; none if rows are whole images."""
        return box_names(self.record["columns"]["carry_columns"])

    def first_rows(self, shard: ShardResult, count: int) -> FirstRows:
        """Reads the first rows of a shard.

        Raises:
            InputError: If the file is damaged.
        """
        names = [IMAGE_ID, URI, CONTENT_SHA256, EMBEDDING, *self.box_names]
        rows = next(read_shard(self.record, shard, names)).slice(0, count)
        ids, uris, hashes = (rows.column(index).to_pylist() for index in range(3))
        vectors = np.empty((0, 0), np.float32)
        if rows.num_rows:
            vectors = to_matrix(rows.column(3), shard.data.path)
        return FirstRows(
            tuple(zip(ids, hashes, strict=True)),
            tuple(map(ImageRef, ids, uris)),
            tuple(boxes_of(rows)),
            vectors,
        )

    def _shards(self) -> Iterator[tuple[PublishedRun, ShardResult]]:
        for run in self.runs:
            for shard in run.results:
                yield run, shard

    def _check_footer(self, run: PublishedRun, shard: ShardResult) -> None:
        try:
            schema = read_schema(shard.data.path)
        except DAMAGE as error:
            raise InputError(f"{shard.data.path} cannot be read: {brief(error)}") from error
        if schema is None:
            return
        for finding in check_footer(shard.data.path, schema, run.record):
            raise InputError(str(finding))
        if dimension_of(schema) is None:
            raise InputError(f"{shard.data.path} has no column {EMBEDDING} of vectors")


def open_embedding_runs(handles: Sequence[str]) -> EmbeddingRuns:
    """Reads the records of runs whose vectors are to be used together.

    Args:
        handles: Directories of runs, or roots of refreshes: then the run that LATEST names.

    Raises:
        InputError: If one is no complete run of pipelines.embed, or two were made by different
            models or preprocessing.
    """
    runs = tuple(open_run(handle) for handle in handles)
    for run in runs:
        if (program := run.record["recipe"]["program"]) != "embed":
            raise InputError(
                f"{run.directory} is a run of pipelines.{program}, wanted one of embed"
            )
        if differing := differences(_making(runs[0]), _making(run)):
            raise InputError(
                f"{runs[0].directory} and {run.directory} were made differently: "
                f"{describe_differences(differing)}; vectors of two makings cannot be mixed"
            )
    return EmbeddingRuns(runs)


def require_saved_model(runs: EmbeddingRuns) -> None:
    """Refuses vectors of a model that no SavedModel can be built on.

    Raises:
        ModelError: If it is ONNX.
    """
    model = runs.record["model"]
    if model["kind"] == EndpointKind.GRAPH:
        raise ModelError(
            f"{model['handle']} is ONNX, and a classifier is a SavedModel with its model inside; "
            "embed with that network as a SavedModel"
        )


def check_unique(image_ids: pa.ChunkedArray) -> None:
    """Checks that no id is there twice.

    Raises:
        InputError: If one is, as when two runs hold the same image.
    """
    # Those of a run may be more than the 2 GiB that an array of strings holds.
    counts = image_ids.cast(pa.large_string()).value_counts()
    twice = counts.filter(pa.compute.greater(counts.field("counts"), 1)).field("values")
    if len(twice):
        shown = ", ".join(twice.slice(0, _SHOWN_IDS).to_pylist())
        raise InputError(f"{len(twice):,} image_ids are there more than once: {shown}")


def _making(run: PublishedRun) -> Mapping[str, Any]:
    """Returns what decides a vector; the file format does not, nor the limits on images."""
    recipe = run.record["recipe"]
    outputs = {name: value for name, value in recipe["outputs"].items() if name != "format"}
    policy = {
        name: value
        for name, value in run.record["preprocessing"].items()
        if name not in {*LIMITS, "fingerprint"}
    }
    return {"model": recipe["model"], "preprocessing": policy, "outputs": outputs}
