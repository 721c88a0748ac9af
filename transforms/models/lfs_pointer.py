"""What Git LFS leaves in place of a model's file that was not fetched."""

from transforms.errors import ModelError
from transforms.images.signatures import LFS_POINTER


def refuse_pointer(path: str) -> None:
    """Refuses a file that Git LFS left in place of the real one.

    Raises:
        ModelError: If it is a pointer.
        OSError: If it cannot be read.
    """
    with open(path, "rb") as file:
        refuse_pointer_in(file.read(len(LFS_POINTER)), f"{path} is")


def refuse_pointer_in(beginning: bytes, subject: str) -> None:
    """Refuses what begins as a pointer.

    Args:
        beginning: First bytes of the file, or all.
        subject: Beginning of the message, such as "labels gs://b/labels.txt are".

    Raises:
        ModelError: If it is a pointer.
    """
    if beginning.startswith(LFS_POINTER):
        raise ModelError(
            f"{subject} a Git LFS pointer, not the file itself; run git lfs pull where the model "
            "was cloned"
        )
