"""What can go wrong, by who can cure it: the user, one image, or nobody."""


class UserError(Exception):
    """A flag, model or input that cannot work; one line that names the cure. Programs exit 2."""


class FlagError(UserError):
    """A flag or combination of flags that cannot work."""


class ModelError(UserError):
    """A model that cannot be resolved, called, or used with the flags given."""


class InputError(UserError):
    """Inputs that cannot be listed or told apart: no match, malformed manifest, one id twice."""


class UnreadableRunError(InputError):
    """A published run that the file system does not give, and that may be as good as it was."""


class OutputError(UserError):
    """An output location that cannot be used."""


class RunError(Exception):
    """A run that did its work and may not be published; programs exit 1."""


class InferenceError(Exception):
    """A call to the model that failed: of one image of the batch, or of all."""


class OutOfMemoryError(InferenceError):
    """A call to the model that takes more memory than there is; a smaller batch may not."""


class ImageError(Exception):
    """One image that cannot become a row; it becomes a Failure and costs nothing else.

    The class name, without "Error", is the Failure's error_type: a short reason to count by.
    """

    @property
    def error_type(self) -> str:
        """The reason to count by, such as "CorruptImage"."""
        return type(self).__name__.removesuffix("Error")


class NotFoundError(ImageError):
    """The listed or named object is not there."""


class PermissionDeniedError(ImageError):
    """The object is there and may not be read."""


class UnavailableError(ImageError):
    """The storage did not give the object for as long as it was asked; another time it may."""


class InterruptedFileError(UnavailableError):
    """A TFRecord, Parquet, tar or zip file, or its rest, that the storage did not give in time.

    How many images are in it is not known.
    """


class UnlistedError(ImageError):
    """A directory that could not be listed, or a file that could not be told apart.

    How many images it holds is not known.
    """


class UnstableImageError(ImageError):
    """A file that changes while it is read."""


class CorruptRecordError(ImageError):
    """A record, Parquet cell, tar sample or zip member that is damaged or lacks the image."""


class TruncatedFileError(CorruptRecordError):
    """A TFRecord, Parquet, tar or zip file that cannot be read to its end, being cut or damaged.

    How many images are lost with the rest of it is not known.
    """


class NotReachedError(ImageError):
    """An image of an earlier run in a file that cannot be read to its end, or opened, now."""


class FileTooLargeError(ImageError):
    """More encoded bytes than --max_image_bytes."""


class ImageTooLargeError(ImageError):
    """More pixels than --max_image_pixels, by the header."""


class UnsupportedFormatError(ImageError):
    """Bytes that are no image of a format on the allow-list."""


class MissingExtraError(ImageError):
    """An image of a format that an extra of this package decodes, which is not installed."""


class CorruptImageError(ImageError):
    """An image of a known format that cannot be decoded whole."""


class EmptyBoxError(ImageError):
    """A box of an image that has no area, or no more than a part of the first pixel."""


class BoxOutsideError(ImageError):
    """A box that has no pixel of its image."""


class DecodeTimeoutError(ImageError):
    """An image that takes longer to decode than --max_image_seconds."""


class DecoderCrashError(ImageError):
    """An image that ends the process that decodes it, whenever it is tried."""


class ModelCallError(ImageError):
    """The model fails on this image alone, or returns a value that is not finite."""


class EmbeddingOverflowError(ImageError):
    """A vector with a value too large for --embedding_dtype."""


_MAX_BRIEF_CHARS = 500


def brief(error: BaseException) -> str:
    """Returns an error's message on one line, cut: it can hold a whole tensor, or a schema."""
    text = " ".join(str(getattr(error, "message", error)).split()) or type(error).__name__
    return text if len(text) <= _MAX_BRIEF_CHARS else text[: _MAX_BRIEF_CHARS - 1] + "…"


def printable(text: str) -> str:
    """Returns a name or message of anybody's as one that a terminal only shows, not obeys."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )
