"""An input that did not become a row: in which step, and for what reason."""

import dataclasses
import enum

MAX_MESSAGE_CHARS = 2000
"""Longest failure message kept; TensorFlow's errors can hold a whole tensor."""


class Step(enum.StrEnum):
    """The step in which an image fails, and the stages whose time is counted."""

    READ = "read"
    DECODE = "decode"
    MODEL = "model"
    WRITE = "write"


PASSING_REASONS = frozenset(
    {
        "read/NotFound",
        "read/PermissionDenied",
        "read/Unavailable",
        "read/InterruptedFile",
        "read/UnstableImage",
        "read/Unlisted",
        "decode/MissingExtra",
        "decode/DecodeTimeout",
        "decode/DecoderCrash",
        "model/ModelCall",
    }
)
"""Failures, as "step/error_type", that the same bytes may not have another time."""


STOPPED_DECODER = frozenset({"decode/DecodeTimeout", "decode/DecoderCrash"})
"""Failures of files that a decoder hung or died of."""

TRUNCATED = "read/TruncatedFile"
"""Failure that stands for the rest of a TFRecord, Parquet, tar or zip file, whatever that holds."""

CUT_SHORT = frozenset({TRUNCATED, "read/InterruptedFile"})
"""Failures that stand for the rest of such a file: it was cut, or the storage did not give it."""

UNOPENED = frozenset({"read/NotFound", "read/PermissionDenied"})
"""Failures that stand for the whole of such a file, if they are of a shard that is one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """One input that did not become a row.

    Attributes:
        image_id: Key of the image, or the file and position where the key could not be read.
        uri: URI of the image, or of the file that it is in.
        step: The step that failed.
        error_type: Short reason to count by, such as "CorruptImage".
        message: Sentence on what a person needs to know, at most MAX_MESSAGE_CHARS characters.
    """

    image_id: str
    uri: str
    step: Step
    error_type: str
    message: str

    def __post_init__(self) -> None:
        if len(self.message) > MAX_MESSAGE_CHARS:
            object.__setattr__(self, "message", self.message[: MAX_MESSAGE_CHARS - 1] + "…")

    @property
    def reason(self) -> str:
        """The step and the reason to count by, as "decode/CorruptImage"."""
        return f"{self.step}/{self.error_type}"
