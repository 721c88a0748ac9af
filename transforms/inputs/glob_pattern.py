"""Globs as Beam reads them, without Beam, whose import takes 2 s.

    *        any characters but /
    **       any characters; **/ also stands for no directory, as in a shell
    ?        one character
    [a-c]    one of these; [!a-c] one of all others

Beam's * stops at a backslash, too, which is a character of names as others are.
There is no way to quote but a class of one: [[] is [, [*] is * and [?] is ?.
"""

import functools
import re

_WILDCARD = re.compile(r"[*?\[]")
_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[(?P<not>!?+)(?P<among>\]?+[^\]]*+)\]|.", re.DOTALL)
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": r"[^/]*", "?": "."}
_SPECIAL_IN_CLASS = re.compile(r"[\\\[&~|^]")


def has_wildcards(uri: str) -> bool:
    """Tells whether a uri may be a glob; a file's name may hold the same characters."""
    return _WILDCARD.search(uri) is not None


def fixed_part(glob: str) -> str:
    """Returns what comes before the first wildcard: of gs://b/a/x-*.jpg it is gs://b/a/x-."""
    return _WILDCARD.split(glob, maxsplit=1)[0]


def quoted(path: str) -> str:
    """Returns the glob that matches a path alone: of "/[2021] trip" it is "/[[]2021] trip"."""
    return _WILDCARD.sub(lambda found: f"[{found[0]}]", path)


def with_any_character(uri: str) -> str:
    """Puts ? in place of each wildcard: /a/x[1].jpg becomes /a/x?1].jpg.

    Beam's globs have no way to quote. This one matches the file of that name, and a few others.
    """
    return _WILDCARD.sub("?", uri)


@functools.lru_cache(maxsize=64)
def glob_regex(glob: str) -> re.Pattern[str]:
    r"""Returns the pattern of the paths that a glob matches: of a/**/*.jpg, a/(?:.*/)?[^/]*\.jpg.

    Raises:
        ValueError: If a class in brackets is none, as [z-a].
    """
    try:
        return re.compile(rf"(?ms:{_TOKEN.sub(_translate, glob)})\Z")
    except re.error as error:
        raise ValueError(
            f"{error.msg} in {glob!r}; wanted [a-z] for one of several characters, and [[] for a "
            "bracket"
        ) from error


def _translate(token: re.Match[str]) -> str:
    text = token[0]
    if text in _MEANING:
        return _MEANING[text]
    if token["among"] is None:
        return re.escape(text)
    # Without a warning of Python's: [[] and [&&] may come to mean something else one day.
    among = _SPECIAL_IN_CLASS.sub(r"\\\g<0>", token["among"])
    return f"[{'^' if token['not'] else ''}{among}]"
