"""PlanCoder: how what is planned crosses a stage, and what it weighs."""

import pickle

from apache_beam.coders import Coder
from apache_beam.coders.typecoders import registry

from transforms.records import RefChunk, Shard

_BYTES_EACH = 100
"""What an image or a file takes in memory at least: its URI."""


class PlanCoder(Coder):
    """Codes chunks of images and shards by pickle; knows their size without that.

    Beam takes the size of the first elements of every bundle on every edge, also where they only
    pass from one fused step to the next. A chunk or a shard is tens of thousands of images, and
    there are few of them: each would be packed and thrown away ten times.
    """

    def encode(self, value: RefChunk | Shard) -> bytes:
        """Returns a pickle of it."""
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def decode(self, encoded: bytes) -> RefChunk | Shard:
        """Returns what encode was given."""
        planned: RefChunk | Shard = pickle.loads(encoded)
        return planned

    def estimate_size(self, value: RefChunk | Shard) -> int:
        """Returns about the size of its listing, in bytes."""
        files = value.files if isinstance(value, Shard) else ()
        return _BYTES_EACH * (len(value.refs) + len(files))


def register_plan_coder() -> None:
    """Makes Beam use PlanCoder for what is planned; before a pipeline that has it is built."""
    for planned in (RefChunk, Shard):
        registry.register_coder(planned, PlanCoder)
