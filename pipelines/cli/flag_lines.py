"""Lines of @files, which hold flags as a shell would take them."""

import re
import shlex

_IN_A_WORD = r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^ \t\r\n'"\\])"""
_WORDS = re.compile(rf"(?:[ \t\r\n]*(?!#){_IN_A_WORD}+)*[ \t\r\n]*")
"""The words of a line, up to a comment or an open quote."""


def split_line(line: str) -> list[str]:
    """Returns the words of a line, without its comment.

        --image_id_from uri#row  # ids    ["--image_id_from", "uri#row"]

    Raises:
        ValueError: If a quote is open.
    """
    words = _WORDS.match(line)
    # To shlex, unlike to a shell, a comment begins in the middle of a word, too.
    if words is not None and line.startswith("#", words.end()):
        line = words[0]
    return shlex.split(line)
