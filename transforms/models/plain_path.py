"""A model's directory under a name that TensorFlow takes for no glob."""

import atexit
import functools
import os
import re
import shutil
import tempfile

_WILDCARD = re.compile(r"[*?\[\\]")


@functools.cache
def plain_path(directory: str) -> str:
    """Returns a directory's path; a link to it, while this process lives, if it has wildcards.

    TensorFlow looks for a model's variables by a glob: of /[2021]/model it would look into
    /2/model.
    """
    if not _WILDCARD.search(os.path.abspath(directory)):
        return directory
    folder = tempfile.mkdtemp(prefix="image-inference-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link = os.path.join(folder, "model")
    os.symlink(os.path.abspath(directory), link)
    return link
