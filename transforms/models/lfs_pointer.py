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
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ModelError(
                f"{path} is a Git LFS pointer, not the file itself; run git lfs pull where the "
                "model was cloned"
            )
