"""docs/architecture.md against the code: what it names is there, and every package is in it."""

import pathlib

import pytest

from tests.support.places import ROOT, named_places, why_absent

PAGE = ROOT / "docs" / "architecture.md"
MAX_LINES = 150


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
