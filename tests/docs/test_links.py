"""The pages lead where they say: links, anchors, the code that they name, and the README's size."""

import collections
import itertools
import json
import pathlib
import re
import subprocess
from collections.abc import Iterator

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.support.places import ROOT, named_modules, named_places, why_absent

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/*.ipynb")])
MARKDOWN = MarkdownIt("commonmark").enable("table")

_PAGE = re.compile(r"\b((?:docs/\w+|README|CONTRIBUTING|CHANGELOG)\.md)(#[\w-]+)?")


def text_of(page: pathlib.Path) -> str:
    """Returns a page's Markdown; of a notebook that of its cells."""
    if page.suffix != ".ipynb":
        return page.read_text()
    cells = json.loads(page.read_text())["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def tokens(page: pathlib.Path) -> Iterator[Token]:
    """Yields what a page is made of, as CommonMark has it."""
    for block in MARKDOWN.parse(text_of(page)):
        yield block
        yield from block.children or ()


def links(page: pathlib.Path) -> Iterator[str]:
    """Yields where a page's links and pictures lead, addresses of the web left out."""
    for token in tokens(page):
        target = str(token.attrs.get("href") or token.attrs.get("src") or "")
        if target and not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: pathlib.Path) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub makes them.

    "## Two faults, of the `benchmark`" becomes "two-faults-of-the-benchmark", and the second
    heading of that text "two-faults-of-the-benchmark-1".
    """
    found: set[str] = set()
    times: collections.Counter[str] = collections.Counter()
    blocks = MARKDOWN.parse(text_of(page))
    for before, block in itertools.pairwise(blocks):
        if before.type == "heading_open":
            text = "".join(part.content for part in block.children or ())
            name = re.sub(r"[^\w\- ]", "", text).lower().replace(" ", "-")
            found.add(f"{name}-{times[name]}" if times[name] else name)
            times[name] += 1
    return found


def why_broken(link: str, page: pathlib.Path) -> str | None:
    """Says why a link of a page leads nowhere; an anchor in code is a line, as #L12 or #L12-L20."""
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    if not target.exists():
        return f"{link}: no such file"
    if not target.resolve().is_relative_to(ROOT):
        return f"{link}: not in the repository"
    if not anchor:
        return None
    if target.suffix == ".md":
        return None if anchor in anchors(target) else f"{link}: no such heading"
    lines = [int(line) for line in re.findall(r"\d+", anchor)]
    is_there = target.is_file() and 0 < max(lines, default=0) <= target.read_text().count("\n")
    return None if is_there and re.fullmatch(r"L\d+(-L\d+)?", anchor) else f"{link}: no such line"


def name_of(page: pathlib.Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: pathlib.Path) -> None:
    assert [why for link in links(page) if (why := why_broken(link, page))] == []
    # HTML of a page's own would not be looked at.
    assert [token.content for token in tokens(page) if token.type.startswith("html_")] == []


# The changelog tells of what is gone, too.
@pytest.mark.parametrize("page", sorted(set(PAGES) - {ROOT / "CHANGELOG.md"}), ids=name_of)
def test_what_a_page_names_of_the_code_is_there(page: pathlib.Path) -> None:
    text = text_of(page)
    named = [*named_places(text), *named_modules(text)]
    assert [why for path, name in named if (why := why_absent(path, name))] == []


def test_every_page_that_the_code_names_is_there() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    files = [ROOT / name for name in tracked.stdout.split("\n") if name.endswith((".py", ".toml"))]
    named = {
        (name_of(file), found[1], found[2] or "")
        for file in files
        if file.exists() and "tests" not in file.parts
        for found in _PAGE.finditer(file.read_text())
    }
    assert len(named) > 5
    broken = [
        (file, page + anchor)
        for file, page, anchor in named
        if why_broken(page + anchor, ROOT / "x")
    ]
    assert broken == []


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("a.md#one-two", None),
        ("a.md#one-two-1", None),
        ("#one-two", None),
        ("code.py#L2", None),
        ("code.py#L1-L2", None),
        ("a.md#one-two-2", "no such heading"),
        ("code.py#L3", "no such line"),
        ("code.py#two", "no such line"),
        ("b.md", "no such file"),
        ("../outside.md", "not in the repository"),
    ],
)
def test_a_broken_link_is_said(
    link: str, why: str | None, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.setattr("tests.docs.test_links.ROOT", root)
    (tmp_path / "outside.md").touch()
    (root / "code.py").write_text("one\ntwo\n")
    page = root / "a.md"
    page.write_text(
        f"# One: `two`\n\n```\n# [no](link)\n```\n\n## One, two\n\n[a][1]\n\n[1]: {link}\n"
    )
    assert list(links(page)) == [link]
    found = why_broken(link, page)
    assert found == (why and f"{link}: {why}")


def test_modules_are_told_from_what_they_hold() -> None:
    text = "`python -m pipelines.embed`, transforms.errors.UserError, scripts.site, scripts.gone.x"
    assert named_modules(text) == [
        ("pipelines/embed.py", None),
        ("transforms/errors.py", "UserError"),
        ("scripts/site", None),
        ("scripts/gone.py", "x"),
    ]


def test_the_index_names_every_page() -> None:
    named = {link.partition("#")[0] for link in links(ROOT / "docs/README.md")}
    pages = {page.name for page in PAGES if page.parent.name == "docs"}
    assert pages - named == {"README.md"}


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 120] == []
