"""What pages name of the code, in `backticks`, and whether it is there."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]

_CODE = re.compile(r"`([^`\n]+)`")
_PLACE = re.compile(
    r"(?P<path>(?:pipelines|transforms|tests|scripts|docs)/[\w./]*)(?:::(?P<name>[\w.]+))?"
)
_MODULE = re.compile(r"(?<![\w.])(?:pipelines|scripts|transforms)(?:\.[A-Za-z]\w*)+\b(?![/.]\w)")


def named_places(text: str) -> list[tuple[str, str | None]]:
    """Finds `transforms/inputs/listing.py::list_source`: ("transforms/...", "list_source")."""
    found = (_PLACE.fullmatch(code) for code in _CODE.findall(text))
    return [(place["path"], place["name"]) for place in found if place]


def named_modules(text: str) -> list[tuple[str, str | None]]:
    """Finds pipelines.cli.flag.location as ("pipelines/cli/flag.py", "location")."""
    found = []
    for dotted in _MODULE.findall(text):
        parts = dotted.split(".")
        depth = 1
        while depth < len(parts) and (ROOT / "/".join(parts[:depth])).is_dir():
            depth += 1
        path = "/".join(parts[:depth])
        name = ".".join(parts[depth:]) or None
        found.append((path if (ROOT / path).is_dir() else f"{path}.py", name))
    return found


def why_absent(path: str, name: str | None, root: pathlib.Path = ROOT) -> str | None:
    """Says what of a place is not there; a name is a function, class, method or constant."""
    file = root / path
    if not file.exists():
        return f"{path}: no such file"
    if name is None:
        return None
    nodes: list[ast.stmt] = ast.parse(file.read_text()).body
    for part in name.split("."):
        nodes = [node for node in nodes if part in _names(node)]
        if not nodes:
            return f"{path}: no {name}"
        nodes = getattr(nodes[0], "body", [])
    return None


def _names(node: ast.stmt) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return set()
