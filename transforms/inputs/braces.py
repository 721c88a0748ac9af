"""WebDataset's brace notation: one --input that names many files, as a shell would expand it."""

import itertools
import re
from collections.abc import Iterator

from transforms.errors import InputError

MAX_NAMES = 100_000
"""Names that one pattern may stand for. More are a slip of the keyboard."""

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.-?(\d+))?")


def expand_braces(pattern: str) -> list[str]:
    """Writes out the numeric ranges and the lists of a pattern, also inside one another.

        train-{08..10}.tar         -> train-08.tar, train-09.tar, train-10.tar
        {a,b}/{0..1}.tar           -> a/0.tar, a/1.tar, b/0.tar, b/1.tar
        x-{{00..01},{10..11}}.tar  -> x-00.tar, x-01.tar, x-10.tar, x-11.tar
        {0..10..5}.tar             -> 0.tar, 5.tar, 10.tar

    Where a bound starts with 0, every number has the width of the longer bound. Braces that hold
    neither a range nor a comma stand for themselves.

    Raises:
        InputError: If it stands for more than MAX_NAMES names.
    """
    names = list(itertools.islice(_expand(pattern), MAX_NAMES + 1))
    if len(names) > MAX_NAMES:
        raise InputError(
            f"--input {pattern!r}: the braces stand for more than {MAX_NAMES:,} names; name the "
            "directory, or write a glob such as *.tar"
        )
    return names


def _expand(pattern: str) -> Iterator[str]:
    for start in (place for place, character in enumerate(pattern) if character == "{"):
        end = _closing(pattern, start)
        choices = None if end is None else _choices(pattern[start + 1 : end])
        if end is not None and choices is not None:
            before, after = pattern[:start], pattern[end + 1 :]
            for choice in choices:
                yield from (f"{before}{choice}{rest}" for rest in _expand(after))
            return
    yield pattern


def _closing(pattern: str, start: int) -> int | None:
    """Finds the brace that closes the one at start; None if none does."""
    depth = 0
    for place in range(start, len(pattern)):
        depth += {"{": 1, "}": -1}.get(pattern[place], 0)
        if not depth:
            return place
    return None


def _choices(inside: str) -> Iterator[str] | None:
    """Writes out what is in a pair of braces; None if that is neither a range nor a list."""
    if found := _RANGE.fullmatch(inside):
        return _numbers(found[1], found[2], int(found[3] or 1))
    parts = _split(inside)
    if len(parts) > 1:
        return itertools.chain.from_iterable(map(_expand, parts))
    # {{00..09}} has no list of its own; in a list, as {{00..09},x}, it is a part.
    return None


def _split(inside: str) -> list[str]:
    """Splits at the commas that are in no braces of their own."""
    parts, depth = [""], 0
    for character in inside:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _numbers(first: str, last: str, step: int) -> Iterator[str]:
    is_padded = any(re.match("-?0.", bound) for bound in (first, last))
    width = max(len(first), len(last)) if is_padded else 0
    start, end, by = int(first), int(last), max(step, 1)
    numbers = range(start, end + 1, by) if start <= end else range(start, end - 1, -by)
    return (f"{number:0{width}d}" if width else str(number) for number in numbers)
