"""docs/architecture.md against the code: what it names is there, and every package is in it."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
MAX_LINES = 150

_CODE = re.compile(r"`([^`\n]+)`")
_PLACE = re.compile(
    r"(?P<path>(?:pipelines|transforms|tests|scripts|docs)/[\w./]*)(?:::(?P<name>[\w.]+))?"
)


def named_places(text: str) -> list[tuple[str, str | None]]:
    """Finds `transforms/inputs/listing.py::list_source`: ("transforms/...", "list_source")."""
    found = (_PLACE.fullmatch(code) for code in _CODE.findall(text))
    return [(place["path"], place["name"]) for place in found if place]


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


def packages() -> list[str]:
    """Returns the packages of the two containers, as "transforms/inputs"."""
    found = (
        path.parent
        for top in ("pipelines", "transforms")
        for path in (ROOT / top).glob("*/__init__.py")
    )
    return sorted(str(path.relative_to(ROOT)) for path in found)


def test_the_page_names_what_is_there() -> None:
    places = named_places(PAGE.read_text())
    assert sum(name is not None for _, name in places) > 30
    assert [why for path, name in places if (why := why_absent(path, name))] == []


def test_the_page_names_every_package() -> None:
    text = PAGE.read_text()
    assert [package for package in packages() if f"`{package}/`" not in text] == []


def test_the_page_is_read_in_ten_minutes() -> None:
    lines = PAGE.read_text().splitlines()
    assert len(lines) <= MAX_LINES
    assert max(len(line) for line in lines if not line.startswith("|")) <= 120


@pytest.mark.parametrize(
    ("path", "name", "why"),
    [
        ("a.py", None, None),
        ("a.py", "f", None),
        ("a.py", "C.method", None),
        ("a.py", "C.LIMIT", None),
        ("a.py", "C.other", "a.py: no C.other"),
        ("a.py", "method", "a.py: no method"),
        ("b.py", "f", "b.py: no such file"),
    ],
)
def test_an_absent_name_is_said(
    path: str, name: str | None, why: str | None, tmp_path: pathlib.Path
) -> None:
    source = "def f(): ...\nclass C:\n    LIMIT: int = 3\n    def method(self): ...\n"
    (tmp_path / "a.py").write_text(source)
    assert why_absent(path, name, tmp_path) == why
