"""The pages lead where they say: every relative link and anchor in them, and the README's size."""

import pathlib
import re
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("docs/*.ipynb")])
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]


def prose(page: pathlib.Path) -> str:
    """Returns a page without its blocks of code, where `#` and brackets mean other things."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)


def links(page: pathlib.Path) -> Iterator[str]:
    """Yields where a page's links and pictures lead, addresses of the web left out."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: pathlib.Path) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub makes them.

    "## Two faults, of the `benchmark`" becomes "two-faults-of-the-benchmark".
    """
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: pathlib.Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_links_and_anchors_are_found() -> None:
    assert "docs/README.md" in set(links(ROOT / "README.md"))
    assert "on-a-gpu" in anchors(ROOT / "docs/benchmarks.md")


def test_the_index_names_every_page() -> None:
    named = {link.partition("#")[0] for link in links(ROOT / "docs/README.md")}
    assert {page.name for page in DOCS} - named == {"README.md"}


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 120] == []
