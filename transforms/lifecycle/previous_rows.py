"""The rows of a shard's predecessor: which may stay, and what they are."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from transforms.boxes import box_names, image_of_box
from transforms.errors import CorruptRecordError
from transforms.failure import PASSING_REASONS, Failure
from transforms.files.tf_examples import is_list
from transforms.lifecycle.stored_rows import StoredRows, read_table
from transforms.records import Change, ImageRef, Predecessor
from transforms.runs.data_file import iter_rows
from transforms.runs.inputs_file import read_inputs
from transforms.schemas import CONTENT_SHA256, IMAGE_ID, URI, read_schema


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreviousRows:
    """One shard of the run before, or all shards of a file.

    Attributes:
        is_reusable: Whether its rows are what this run would make of the same images.
        stored: Columns that this run would compute, as they were written; none unless reusable.
        row_of_id: Row number by image_id.
        content_of_row: content_sha256 by row number.
        row_of_content: Row number by content_sha256; empty unless reusable.
        refs: Images that the shard was given, by image_id; empty for TFRecord, Parquet, tar and zip
            files.
        failures: Failures by image_id.
        box_sides: Number of the last carried columns that say a box; 0 if images have none.
    """

    is_reusable: bool
    stored: StoredRows
    row_of_id: Mapping[str, int]
    content_of_row: Sequence[str]
    row_of_content: Mapping[str, int]
    refs: Mapping[str, ImageRef]
    failures: Mapping[str, Failure]
    box_sides: int = 0

    @classmethod
    def none(cls) -> "PreviousRows":
        """Returns what a shard without a predecessor has."""
        return cls.of_listing({}, {})

    @classmethod
    def of_listing(
        cls, refs: Mapping[str, ImageRef], failures: Mapping[str, Failure], box_sides: int = 0
    ) -> "PreviousRows":
        """Returns what is known of earlier images without a look at their rows.

        Args:
            refs: Images by image_id.
            failures: Failures among them, by image_id.
            box_sides: Number of the last carried columns that say a box; 0 if images have none.
        """
        return cls(
            is_reusable=False,
            stored=StoredRows([], [], pa.table({})),
            row_of_id={},
            content_of_row=(),
            row_of_content={},
            refs=refs,
            failures=failures,
            box_sides=box_sides,
        )

    def fate(self, image_id: str, content: str | None) -> Change:
        """Says what became of an image that is there.

        Args:
            image_id: The image.
            content: Hash of its bytes, as in content_sha256; None if it could not be read.
        """
        row = self.row_of_id.get(image_id)
        if row is not None:
            is_same = self.content_of_row[row] == content
            return Change.UNCHANGED if is_same else Change.CHANGED
        return Change.RETRIED if image_id in self.failures else Change.NEW

    @property
    def unlisted(self) -> frozenset[str]:
        """The image_ids that stand for directories which could not be listed: no images."""
        return frozenset(name for name, ref in self.refs.items() if ref.unlisted is not None)

    def image_of(self, image_id: str) -> str:
        """Returns the image that a box is of, which chose its shard; else the image itself."""
        return image_of_box(image_id) if self.box_sides else image_id

    def stays(self, ref: ImageRef, *, keeps_all: bool) -> bool:
        """Whether what the run before made of an image holds, by the listing alone.

        Args:
            ref: The image.
            keeps_all: Whether every row stays, whatever the listing says.
        """
        if not self.is_reusable:
            return False
        return ref.image_id in self.row_of_id if keeps_all else self.is_listed_alike(ref)

    def is_listed_alike(self, ref: ImageRef) -> bool:
        """Whether the listing says that an image is as it was."""
        before = self.refs.get(ref.image_id)
        return (
            before is not None
            and ref.version is not None
            and (before.uri, before.size_bytes, before.version)
            == (ref.uri, ref.size_bytes, ref.version)
            and self._has_same_box(before, ref)
        )

    def _has_same_box(self, before: ImageRef, ref: ImageRef) -> bool:
        """Whether two have one box; of a run without boxes, always."""
        return (
            not self.box_sides
            or before.carried[-self.box_sides :] == (ref.carried[-self.box_sides :])
        )

    def as_known(self, ref: ImageRef) -> ImageRef:
        """Adds the version and content of an earlier row, where no listing tells a version.

        So a server of the web can be asked whether there is another one. If there is not, the image
        comes with the content of that row, and keeps it.
        """
        before, row = self.refs.get(ref.image_id), self.row_of_id.get(ref.image_id)
        if before is None or row is None or not self.is_reusable:
            return ref
        is_same = before.uri == ref.uri and self._has_same_box(before, ref)
        if not is_same or ref.version is not None:
            return ref
        return dataclasses.replace(
            ref, version=before.version, content_sha256=self.content_of_row[row]
        )

    def untold_versions(self, refs: Iterable[ImageRef]) -> dict[str, str | None]:
        """Returns the versions before, by image_id, of images whose listing tells none."""
        return {ref.image_id: self.as_known(ref).version for ref in refs if ref.version is None}

    def lasting_failure(self, image_id: str) -> Failure | None:
        """Returns an image's failure if the same bytes are sure to fail again."""
        failure = self.failures.get(image_id)
        if failure is None or failure.reason in PASSING_REASONS:
            return None
        return failure


def load_previous(
    predecessor: Predecessor, computed: Sequence[str], carried: Sequence[str] = ()
) -> PreviousRows:
    """Reads a predecessor.

    Args:
        predecessor: What the run before had, which is intact.
        computed: Names of the columns that this run would compute.
        carried: Names of the columns that it carries.
    """
    is_reusable = predecessor.has_same_recipe
    known = [IMAGE_ID, CONTENT_SHA256]
    paths = [file.path for file in predecessor.data]
    try:
        first = read_table(paths[0], [*known, *computed] if is_reusable else known)
    except CorruptRecordError:
        # The file is as its run wrote it, so that run knew nothing of a column of this one's.
        is_reusable = False
        first = read_table(paths[0], known)
    tables = [first.select(known), *(read_table(path, known) for path in paths[1:])]
    counts = [table.num_rows for table in tables]
    table = pa.concat_tables(tables)
    contents = table[CONTENT_SHA256].to_pylist()
    given = [read_inputs(file.path) for file in predecessor.inputs]
    return PreviousRows(
        is_reusable=is_reusable,
        stored=StoredRows(paths, counts, first.drop_columns(known)),
        row_of_id={image_id: row for row, image_id in enumerate(table[IMAGE_ID].to_pylist())},
        content_of_row=contents,
        row_of_content={content: r for r, content in enumerate(contents)} if is_reusable else {},
        refs={ref.image_id: ref for refs, _ in given for ref in refs},
        failures={failure.image_id: failure for _, failed in given for failure in failed},
        box_sides=len(box_names(carried)),
    )


def rows_as_before(
    predecessor: Predecessor, rows: Sequence[int], carried: pa.Schema
) -> pa.Table | None:
    """Reads what a reader made of images in a file that cannot be read now.

    Args:
        predecessor: The shard of the run before.
        rows: Row numbers of the predecessor.
        carried: The carried columns.

    Returns:
        The rows, as read; None if they have not these carried columns.
    """
    schema = read_schema(carried)
    types = {field.name: str(field.type) for field in carried}
    try:
        tables = [
            pa.Table.from_batches(iter_rows(file.path, schema.names, types))
            for file in predecessor.data
        ]
        table = pa.concat_tables(tables).take(pa.array(rows, pa.int64()))
        columns = [_as(column, field) for column, field in zip(table.columns, schema, strict=True)]
        return pa.Table.from_arrays(columns, schema=schema)
    except (CorruptRecordError, pa.ArrowException):
        return None


def uris_of(predecessor: Predecessor, rows: Sequence[int]) -> dict[str, str]:
    """Returns the uri of each of some rows of a predecessor, by image_id."""
    tables = [read_table(file.path, [IMAGE_ID, URI]) for file in predecessor.data]
    table = pa.concat_tables(tables).take(pa.array(rows, pa.int64()))
    return dict(zip(table[IMAGE_ID].to_pylist(), table[URI].to_pylist(), strict=True))


def _as(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    if is_list(column.type) and not is_list(field.type):  # From a TFRecord.
        values = [value[0] if value else None for value in column.to_pylist()]
        column = pa.chunked_array([pa.array(values, column.type.value_type)])
    if pa.types.is_dictionary(field.type):
        column = column.cast(field.type.value_type).dictionary_encode()
    return column.cast(field.type)


def rows_as_read(refs: Sequence[ImageRef], contents: Sequence[str], carried: pa.Schema) -> pa.Table:
    """Makes rows as a reader would of images that need not be read.

    Args:
        refs: The images.
        contents: Hashes of the images' bytes, as in content_sha256.
        carried: The carried columns.
    """
    own = [[ref.image_id for ref in refs], [ref.uri for ref in refs], list(contents)]
    values = [ref.carried or (None,) * len(carried) for ref in refs]
    columns = [pa.array(column, pa.string()) for column in own] + [
        pa.array([row[place] for row in values], field.type) for place, field in enumerate(carried)
    ]
    return pa.Table.from_arrays(columns, schema=read_schema(carried))
