"""What TensorFlow raises while it loads or calls a model, in one sentence that a user can read.

Graph execution error:

Detected at node save/RestoreV2 defined at (most recent call last):     <- where we called it
  File "<frozen runpy>", line 198, in _run_module_as_main
  ...

Read less bytes than requested                                          <- what is kept
     [[{{node save/RestoreV2}}]] [Op:__inference_pruned_30]
"""

import contextlib
import re
from collections.abc import Iterator

from transforms.errors import ModelError, UserError, brief

_FRAME = re.compile(
    r"""^[ \t]*File\ "[^"\n]*",\ line\ \d+[^\n]*\n  # a place,
        (?:[ \t]{4,}(?!File\ ")[^\n]*\n)?            # and the code there
    """,
    re.MULTILINE | re.VERBOSE,
)
_AROUND = re.compile(
    r"""^Graph\ execution\ error:
        | ^Detected\ at\ node\ [^\n]*
        | ^in\ user\ code:
        | ^<stack\ traces\ unavailable>
        | ^Traceback\ \(most\ recent\ call\ last\):
        | \[\[\{\{node\ .*?\}\}\]\]
        | \[Op:\w+\]
    """,
    re.MULTILINE | re.VERBOSE,
)


_KNOWN = (
    (
        r"Could not find callback with key",
        "it calls Python code, by tf.py_function or tf.numpy_function, which no SavedModel keeps; "
        "save it with TensorFlow's own operations in its place",
    ),
    (
        r"Op type not registered '(\w+)'",
        r"it has the operation \1, which TensorFlow lacks: that of another package, as "
        "tensorflow_text or tensorflow_addons, or of a newer version; save it without",
    ),
)
"""What TensorFlow says of a model, and what that means."""


@contextlib.contextmanager
def as_model_error(what: str) -> Iterator[None]:
    """Makes whatever is raised inside a ModelError: "what: cause".

    A damaged or strange model makes TensorFlow raise nearly anything: IndexError, AssertionError.

    Raises:
        ModelError: If anything but an error of ours is raised.
        MemoryError: If there is too little memory; that is no fault of the model.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        raise ModelError(f"{what}: {cause(error)}") from error


def cause(error: BaseException) -> str:
    """Returns an error's message on one line, without anybody's stack in it."""
    text = str(getattr(error, "message", None) or error)
    for pattern, words in _KNOWN:
        if found := re.search(pattern, text):
            return found.expand(words)
    text = _AROUND.sub("", _FRAME.sub("", f"{text}\n"))
    return brief(Exception(text) if text.strip() else error)
