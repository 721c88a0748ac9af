"""The page of a program: what its --help says, in Markdown."""

import argparse
import itertools
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from pipelines.cli.program import Program

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|])")
_FLAG = re.compile(r"(?<![\w-])(--\w[\w-]*)")


def program_page(program: Program[Any]) -> str:
    """Returns the page: how it is called, what it does, and its flags in the groups of --help."""
    parser = program.make_parser()
    return "\n".join(
        [
            f"# {program.name}\n",
            *_text(program.description),
            f"```text\n{parser.format_usage().strip()}\n```\n",
            f"```{{program}} {program.name}\n```\n",
            *itertools.chain.from_iterable(
                _flags(parser, group) for group in parser._action_groups
            ),
            "## Beyond the flags\n",
            *_text(parser.epilog or ""),
        ]
    )


def _flags(parser: argparse.ArgumentParser, group: argparse._ArgumentGroup) -> Iterator[str]:
    """Yields a group's heading and flags; those that --help leaves out are left out."""
    shown = [action for action in group._group_actions if action.help != argparse.SUPPRESS]
    if not shown:
        return
    yield f"## {(group.title or '').capitalize()}\n"
    formatter = parser._get_formatter()
    for action in shown:
        form = formatter._format_action_invocation(action)
        yield f"```{{option}} {form}\n{_prose(formatter._expand_help(action))}\n```\n"


def _text(text: str) -> Iterator[str]:
    """Yields a block a paragraph: lines that --help indents are commands, and stay as they are."""
    for is_indented, lines in itertools.groupby(text.splitlines(), key=_is_indented):
        block = "\n".join(lines)
        if is_indented:
            language = "sh" if "python -m" in block else "text"
            yield f"```{language}\n{textwrap.dedent(block)}\n```\n"
        elif block.strip():
            yield f"{_prose(block)}\n"


def _is_indented(line: str) -> bool:
    return line.startswith("  ")


def _prose(text: str) -> str:
    """Returns a plain text as Markdown that shows it as it is, its flags as code."""
    words = _FLAG.split(text)
    return "".join(
        f"`{word}`" if _FLAG.fullmatch(word) else _SPECIAL.sub(r"\\\1", word) for word in words
    )
