"""robots.txt: what the owner of a server asks programs not to fetch.

Source: RFC 9309. Our own reading of it: urllib.robotparser knows no wildcards and takes the first
rule that fits instead of the longest, and Protego needs time by the square of a hostile file's
size. Here a file costs time by its size, and only the rules of one program are kept.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, Self

PRODUCT = "image-batch-inference"
"""Name by which a robots.txt may speak of this program."""

MAX_BYTES = 500 << 10
"""Beginning of a file that is read; a parser must take as much (RFC 9309, 2.5)."""

_LINE = re.compile(r"\s*(user-agent|allow|disallow)\s*:\s*([^\s#]*)", re.IGNORECASE)
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}|[^\x21-\x7e]")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")


class _Rule(NamedTuple):
    """One line: the parts of the path between its stars, and whether what fits may be fetched."""

    allows: bool
    length: int
    parts: tuple[str, ...]
    is_anchored: bool

    def fits(self, path: str) -> bool:
        first, *others = self.parts
        if not path.startswith(first):
            return False
        if not others:
            return not self.is_anchored or path == first
        at = len(first)
        for part in others[:-1]:
            at = path.find(part, at)
            if at < 0:
                return False
            at += len(part)
        if self.is_anchored:
            return path.endswith(others[-1]) and len(path) - len(others[-1]) >= at
        return path.find(others[-1], at) >= 0


class Robots:
    """The rules of one server for this program.

    Attributes:
        weight: Bytes, about, that they take in memory.
    """

    def __init__(self, rules: list[_Rule]) -> None:
        # The longest that fits decides; of two as long, the one that allows.
        self._rules = sorted(rules, key=lambda rule: (-rule.length, not rule.allows))
        self.weight = sum(200 + rule.length + 60 * len(rule.parts) for rule in rules)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a file: the groups of PRODUCT together, or those of * if it has none.

        User-agent: *
        Disallow: /private/
        Allow: /private/*.jpg$      keeps /private/ from us, but for its .jpg
        """
        groups: dict[str, list[_Rule]] = {}
        agents: set[str] = set()
        has_rules = False
        for key, value in _lines(text):
            if key == "user-agent":
                agents = set() if has_rules else agents
                has_rules = False
                agent = value.lower().partition("/")[0]
                if agent in (PRODUCT, "*"):
                    agents.add(agent)
                    groups.setdefault(agent, [])
                continue
            has_rules = True
            if value and agents:
                rule = _rule(value, allows=key == "allow")
                for agent in agents:
                    groups[agent].append(rule)
        return cls(groups.get(PRODUCT, groups.get("*", [])))

    def allows(self, target: str) -> bool:
        """Tells whether a path, with its query, may be fetched."""
        path = _plain(target)
        return next((rule.allows for rule in self._rules if rule.fits(path)), True)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.removeprefix("\ufeff").splitlines():
        if found := _LINE.match(line):
            yield found[1].lower(), found[2]


def _rule(pattern: str, *, allows: bool) -> _Rule:
    path = _plain(pattern)
    is_anchored = path.endswith("$")
    parts = re.sub(r"\*+", "*", path.removesuffix("$")).split("*")
    return _Rule(allows, len(path), tuple(parts), is_anchored)


def _plain(path: str) -> str:
    """Writes a path the one way that paths are compared in: /%7eä is /~%C3%A4."""

    def plain(found: re.Match[str]) -> str:
        text = found[0]
        if len(text) == 3:
            character = chr(int(text[1:], 16))
            return character if _UNRESERVED.match(character) else text.upper()
        return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "replace"))

    return _ESCAPED.sub(plain, path)
