"""MatchInputs: what the user points at -> images, files of images, and what was passed over."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import AsList, PCollection, TaggedOutput

from transforms.boxes import WITHOUT_BOXES
from transforms.inputs.box_columns import BoxColumns
from transforms.inputs.columns import image_id
from transforms.inputs.entries import ImageFile, Skipped, Unlisted
from transforms.inputs.listing import list_telling_empty
from transforms.inputs.manifests import read_manifest
from transforms.inputs.partition_columns import carried_values
from transforms.inputs.passed_over import note
from transforms.inputs.source import Source
from transforms.lifecycle.recall import Unseen, describe_empty, describe_unseen, to_unlisted_ref
from transforms.records import ImageRef, InputFile, PassedOver, RefChunk
from transforms.steps.recall_unseen import RecallUnseen

CHUNK_REFS = 32_768
"""Images an element of a listing: enough that its parts, one a shard, still compress well."""

UNSEEN_SHOWN = 8
"""Directories that a run warns of by name; of those not listed, _failures.jsonl has all."""

_File = TaggedOutput[Literal["files"], InputFile]
_Skipped = TaggedOutput[Literal["skipped"], PassedOver]
_Unseen = TaggedOutput[Literal["unseen"], Unseen]
_Empty = TaggedOutput[Literal["empty"], str]


class Listed(NamedTuple):
    """What inputs hold, whatever run lists them.

    Attributes:
        images: PCollection[RefChunk], from listings and manifests; a directory that could not be
            listed is one of them.
        files: PCollection[InputFile], TFRecord, Parquet, tar and zip.
        skipped: PCollection[PassedOver], of each input, what in its directories is no image.
        unseen: PCollection[Unseen], directories that could not be listed.
        empty: PCollection[str], inputs that hold nothing.
    """

    images: PCollection[RefChunk]
    files: PCollection[InputFile]
    skipped: PCollection[PassedOver]
    unseen: PCollection[Unseen]
    empty: PCollection[str]


class Matched(NamedTuple):
    """Outputs of MatchInputs.

    Attributes:
        images: PCollection[RefChunk], from listings and manifests; a directory that could not be
            listed is one of them.
        files: PCollection[InputFile], TFRecord, Parquet, tar and zip.
        skipped: PCollection[PassedOver], of each input, what in its directories is no image.
        warnings: PCollection[str], inputs that are empty, or could not be listed, in words.
    """

    images: PCollection[RefChunk]
    files: PCollection[InputFile]
    skipped: PCollection[PassedOver]
    warnings: PCollection[str]


def to_image_ref(found: ImageFile, image_id_from: str | None, carried: pa.Schema) -> ImageRef:
    """Gives a listed image its key, and what its directories say of carried columns."""
    key = image_id(found.uri, found.root, image_id_from or "uri")
    values = carried_values(found.uri, carried)
    return ImageRef(key, found.uri, found.size_bytes, found.version, carried=values)


def in_chunks(refs: Iterable[ImageRef]) -> Iterator[RefChunk]:
    """Puts images together, in order, at most CHUNK_REFS at a time."""
    iterator = iter(refs)
    while chunk := tuple(itertools.islice(iterator, CHUNK_REFS)):
        yield RefChunk(chunk)


def _match_source(
    source: Source, image_id_from: str | None, carried: pa.Schema, wants_boxes: bool
) -> Iterator[RefChunk | _File | _Skipped | _Unseen | _Empty]:
    refs: list[ImageRef] = []
    passed: dict[str, PassedOver] = {}
    for found in list_telling_empty(source):
        match found:
            case ImageFile() if wants_boxes:
                note(passed, Skipped(found.uri, WITHOUT_BOXES))
            case ImageFile():
                refs.append(to_image_ref(found, image_id_from, carried))
                if len(refs) == CHUNK_REFS:
                    yield RefChunk(tuple(refs))
                    refs.clear()
            case InputFile():
                yield _File("files", found)
            case Skipped():
                note(passed, found)
            case Unlisted():
                refs.append(to_unlisted_ref(found))
                yield _Unseen("unseen", Unseen(source, found))
            case Source():
                yield _Empty("empty", source.pattern)
    yield from in_chunks(refs)
    yield from (_Skipped("skipped", one) for one in passed.values())


def _match_manifest(
    uri: str,
    carried: pa.Schema,
    image_id_from: str | None,
    uri_column: str | None,
    boxes: BoxColumns | None,
    allow_private_hosts: bool,
) -> Iterator[RefChunk | _Skipped]:
    passed: dict[str, PassedOver] = {}

    def wanted() -> Iterator[ImageRef]:
        for found in read_manifest(
            uri,
            carried,
            image_id_from,
            uri_column=uri_column,
            boxes=boxes,
            allow_private_hosts=allow_private_hosts,
        ):
            if boxes is not None and found.box is None:
                note(passed, Skipped(found.uri, WITHOUT_BOXES))
            else:
                yield found

    yield from in_chunks(wanted())
    yield from (_Skipped("skipped", one) for one in passed.values())


def _warn(
    _: bytes, unseen: list[Unseen], empty: list[str], builds_on_run: bool, keeps_rows: bool
) -> Iterator[str]:
    yield from describe_unseen(
        unseen, builds_on_run=builds_on_run, shown=UNSEEN_SHOWN, keeps_rows=keeps_rows
    )
    yield from describe_empty(empty, builds_on_run=builds_on_run, shown=UNSEEN_SHOWN)


def _to_chunk(refs: list[ImageRef]) -> RefChunk:
    return RefChunk(tuple(refs))


@dataclasses.dataclass(eq=False)
class MatchInputs(beam.PTransform[beam.Pipeline, Matched]):
    """Lists every input. Takes the pipeline's root; opens no image.

    Attributes:
        sources: The classified --input patterns.
        manifests: URIs of manifests.
        carried: The carried columns, as manifests and the names of directories have them.
        image_id_from: Origin of the image_id, or None for each kind's default.
        previous: The run that this one refreshes, and the number of its shards: what is below
            directories that cannot be listed is taken from it. None if there is no such run.
        keeps_rows: Whether the rows of that run are what this one would make.
        allow_private_hosts: Whether manifests on the web may be at addresses that are not public.
        uri_column: Column of manifests that holds the images' URIs; None means uri, url or URL.
        boxes: Columns of manifests that hold boxes, each of which is an image then.
        listed: Inputs as they have been listed already, for several runs; or None.
    """

    sources: tuple[Source, ...]
    manifests: tuple[str, ...]
    carried: pa.Schema
    image_id_from: str | None
    previous: tuple[str, int] | None
    keeps_rows: bool = True
    allow_private_hosts: bool = False
    uri_column: str | None = None
    boxes: BoxColumns | None = None
    listed: Listed | None = None

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, root: beam.Pipeline) -> Matched:
        """Returns images, files and what was skipped."""
        listed = self.listed or self.list_inputs(root)
        images, files = [listed.images], [listed.files]
        if self.previous is not None:
            recalling = RecallUnseen(*self.previous, self.image_id_from)
            recalled = listed.unseen | "RecallUnseen" >> recalling
            files.append(recalled.files)
            images.append(
                recalled.images
                | "ToImageRef" >> beam.Map(to_image_ref, self.image_id_from, self.carried)
                | "BatchRefs" >> beam.BatchElements(1, CHUNK_REFS)
                | "ToChunk" >> beam.Map(_to_chunk)
            )
        warnings = (
            root
            | "Once" >> beam.Impulse()
            | "Warn"
            >> beam.FlatMap(
                _warn,
                AsList(listed.unseen),
                AsList(listed.empty),
                self.previous is not None,
                self.keeps_rows,
            )
        )
        return Matched(
            images | "Images" >> beam.Flatten().with_output_types(RefChunk),
            files | "Files" >> beam.Flatten().with_output_types(InputFile),
            listed.skipped,
            warnings,
        )

    def list_inputs(self, root: beam.Pipeline) -> Listed:
        """Adds the listing alone to root."""
        listed = (
            root
            | "Sources" >> beam.Create(self.sources, reshuffle=False)
            | "MatchSource"
            >> beam.FlatMap(
                _match_source, self.image_id_from, self.carried, self.boxes is not None
            ).with_outputs("files", "skipped", "unseen", "empty", main="images")
        )
        images, skipped = listed.images, listed.skipped
        if self.manifests:
            named = (
                root
                | "Manifests" >> beam.Create(self.manifests, reshuffle=False)
                | "ReadManifest"
                >> beam.FlatMap(
                    _match_manifest,
                    self.carried,
                    self.image_id_from,
                    self.uri_column,
                    self.boxes,
                    self.allow_private_hosts,
                ).with_outputs("skipped", main="images")
            )
            skipped = (skipped, named.skipped) | "Skipped" >> beam.Flatten()
            images = (images, named.images) | "Listed" >> beam.Flatten().with_output_types(RefChunk)
        return Listed(images, listed.files, skipped, listed.unseen, listed.empty)
