"""One read for all rows of one image: those that --image_id_from tells apart, as captions.

Of the rows a.jpg#0, a.jpg#1 and b.jpg#0 of a shard:

    firsts                 a.jpg#0, b.jpg#0
    read                   a.jpg#0 <JPEG>, b.jpg#0 not found
    spread(what was read)  a.jpg#0 <JPEG>, a.jpg#1 <the same JPEG>, b.jpg#0 not found

The rows have one content then, so that the model sees one of them: see reuse.
"""

import collections
import dataclasses
from collections.abc import Sequence

import pyarrow as pa

from transforms.inputs.part import ReadPart
from transforms.lifecycle.previous_rows import rows_as_read
from transforms.records import ImageRef
from transforms.schemas import CONTENT_SHA256, IMAGE_ID


class RowReads:
    """The rows of a shard, by their images.

    Attributes:
        firsts: First row of each image: what is read.
    """

    def __init__(self, refs: Sequence[ImageRef], carried: pa.Schema) -> None:
        """Groups rows by the URI of their image.

        Args:
            refs: The rows.
            carried: The carried columns.
        """
        of_uri: collections.defaultdict[str, list[ImageRef]] = collections.defaultdict(list)
        for ref in refs:
            of_uri[ref.uri].append(ref)
        self.firsts = tuple(first for first, *_ in of_uri.values())
        self._others = {first.image_id: others for first, *others in of_uri.values()}
        self._carried = carried

    def spread(self, part: ReadPart) -> ReadPart:
        """Gives every row of the images of a part what was read of the first, or its failure."""
        ids, contents = (part.rows.column(name).to_pylist() for name in (IMAGE_ID, CONTENT_SHA256))
        others: list[ImageRef] = []
        places: list[int] = []
        for place, image_id in enumerate(ids):
            others += self._others[image_id]
            places += [place] * len(self._others[image_id])
        own = rows_as_read(others, [contents[place] for place in places], self._carried)
        failures = [
            dataclasses.replace(failure, image_id=ref.image_id, uri=ref.uri)
            for failure in part.failures
            for ref in self._others[failure.image_id]
        ]
        return ReadPart(
            pa.concat_batches([part.rows, *own.to_batches()]),
            part.encoded + tuple(part.encoded[place] for place in places),
            (*part.failures, *failures),
        )
