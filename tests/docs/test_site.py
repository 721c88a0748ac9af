"""The site of scripts/docs: every flag and transform is in it; it is whole; it needs no network."""

import argparse
import base64
import dataclasses
import functools
import importlib
import json
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import bs4
import pytest

import transforms
from pipelines.cli.program import Program
from pipelines.command import PROGRAMS
from tests.support.browser import open_page
from transforms import ClassifyImages, EmbedImages, ImageModelHandler

ROOT = pathlib.Path(__file__).parents[2]
LOADING = ("script", "link", "img", "iframe", "source")


def run(code: str, *argv: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Runs Python in the repository: Sphinx changes the process that it runs in."""
    code = f"import pathlib, sys\npaths = map(pathlib.Path, sys.argv[1:])\n{code}"
    command = [sys.executable, "-c", code, *map(str, argv)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    directory = tmp_path_factory.mktemp("site") / "site"
    built = run("from scripts.site.build import build\nsys.exit(not build(*paths))", directory)
    assert (built.returncode, built.stderr) == (0, "")
    return directory


def to_html(source: pathlib.Path) -> tuple[pathlib.Path, list[str]]:
    """Turns pages to a site; returns it and the warnings."""
    site = source.with_name("site")
    built = run(
        "from scripts.site.build import to_html\nsys.exit(not to_html(*paths))", source, site
    )
    warnings = [line for line in built.stderr.splitlines() if "WARNING" in line]
    assert built.returncode == bool(warnings), built.stderr
    return site, warnings


@functools.cache
def read(page: pathlib.Path) -> bs4.BeautifulSoup:
    return bs4.BeautifulSoup(page.read_text(), "html.parser")


def text_of(tag: bs4.Tag | None) -> str:
    """Returns a tag's text without the sign that links to it."""
    assert tag is not None
    return " ".join(tag.get_text().replace("¶", "").split())


def sections(parser: argparse.ArgumentParser) -> dict[str, dict[str, str]]:
    """Returns what --help says, once: heading -> form of the flag -> its text."""
    formatter = parser._get_formatter()
    found = {
        (group.title or "").capitalize(): {
            formatter._format_action_invocation(action): formatter._expand_help(action)
            for action in group._group_actions
            if action.help != argparse.SUPPRESS
        }
        for group in parser._action_groups
    }
    return {title: flags for title, flags in found.items() if flags}


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_has_a_page_that_says_what_its_help_does(
    name: str, site: pathlib.Path
) -> None:
    program: Program = importlib.import_module(f"pipelines.{name}").PROGRAM
    page = read(site / "programs" / f"{name}.html")
    found = {
        text_of(section.h2): {
            text_of(flag.dt): text_of(flag.dd) for flag in section.find_all("dl", class_="option")
        }
        for section in page.find_all("section")
        if section.h2 and section.find("dl", class_="option") and not section.h1
    }
    parser = program.make_parser()
    assert found == sections(parser)
    assert sum(map(len, found.values())) > len(dataclasses.fields(program.config_class))
    whole = text_of(page.article)
    for text in (program.description, parser.epilog or ""):
        assert " ".join(text.split()) in whole
    assert [text_of(title) for title in page.find_all("h1")] == [name]


def test_every_transform_and_argument_is_documented(site: pathlib.Path) -> None:
    described = {}
    public = [f"transforms.{name}" for name in transforms.__all__]
    for name in (*public, "pipelines.RunImageInference"):
        entry = read(site / "transforms.html").find(id=name)
        assert isinstance(entry, bs4.Tag), name
        assert isinstance(entry.parent, bs4.Tag)
        described[name] = {text_of(found) for found in entry.parent.select(".field-list strong")}
    shared = {field.name for field in dataclasses.fields(EmbedImages)}
    assert shared <= described["transforms.EmbedImages"]
    # The others describe their own arguments, and name EmbedImages for those that they share.
    for kind in (ClassifyImages, ImageModelHandler):
        own = {field.name for field in dataclasses.fields(kind)} - shared
        assert own <= described[f"transforms.{kind.__name__}"]


def pages(site: pathlib.Path) -> list[pathlib.Path]:
    return sorted(site.resolve().rglob("*.html"))


def links(page: pathlib.Path, *tags: str) -> Iterator[str]:
    """Yields where the tags of a page lead, or what they load."""
    for tag in read(page).find_all(list(tags)):
        link = str(tag.get("href" if tag.name in ("a", "link") else "src", ""))
        if link and not link.startswith("data:"):
            yield link


def target(page: pathlib.Path, link: str) -> pathlib.Path:
    path = unquote(urlsplit(link).path)
    return (page.parent / path).resolve() if path else page


def test_every_page_of_the_index_is_there(site: pathlib.Path) -> None:
    written = {page.relative_to(site).with_suffix("") for page in pages(site)}
    sources = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    assert {page.relative_to(ROOT).with_suffix("") for page in sources} <= written
    assert (site / "index.html").read_bytes() == (site / "README.html").read_bytes()


def test_no_page_loads_anything_from_elsewhere(site: pathlib.Path) -> None:
    loaded = [(page, link) for page in pages(site) for link in links(page, *LOADING)]
    assert len(loaded) > len(pages(site))
    assert [(page, link) for page, link in loaded if urlsplit(link).netloc] == []
    assert [(page, link) for page, link in loaded if not target(page, link).exists()] == []
    styles = [file.read_text() for file in site.rglob("*.css")]
    styles += [style.get_text() for page in pages(site) for style in read(page).find_all("style")]
    assert [style for style in styles if re.search(r"@import|url\(['\"]?(https?:)?//", style)] == []


def test_every_link_inside_leads_somewhere(site: pathlib.Path) -> None:
    inside = [
        (page, link)
        for page in pages(site)
        for link in links(page, "a")
        if not urlsplit(link).scheme
    ]
    assert [link for page, link in inside if not target(page, link).exists()] == []
    anchors = {(target(page, link), unquote(urlsplit(link).fragment)) for page, link in inside}
    there = {page: {tag["id"] for tag in read(page).find_all(id=True)} for page in pages(site)}
    assert len(anchors) > 100
    assert [
        (page, anchor) for page, anchor in anchors if anchor and anchor not in there[page]
    ] == []


def test_a_flag_is_found_by_searching(site: pathlib.Path) -> None:
    with open_page(site / "programs/embed.html", width=390) as opened:
        opened.page.goto(f"{(site / 'search.html').as_uri()}?q=max_failed_fraction")
        results = opened.page.locator("ul.search li a")
        results.first.wait_for()
        hrefs = [link.get_attribute("href") or "" for link in results.all()]
        wide = "document.documentElement.scrollWidth > window.innerWidth"
        assert opened.page.evaluate(wide) is False
    assert any("embed.html#cmdoption-embed-max_failed_fraction" in href for href in hrefs)


def test_a_broken_link_fails_the_site(tmp_path: pathlib.Path) -> None:
    source = tmp_path / "pages"
    source.mkdir()
    broken = ["other.md#no-heading", "#nowhere", "gone.md", "../LICENSE"]
    lines = [f"[link]({link})\n" for link in ["other.md#a-heading", "#first", *broken]]
    (source / "README.md").write_text(
        "\n".join(["# First\n", *lines, "```{toctree}\nother\n```\n"])
    )
    (source / "other.md").write_text("# Other\n\n## A heading\n")
    _, warnings = to_html(source)
    faults = [
        (link, [link.strip("./").split("#")[-1] in text for text in warnings]) for link in broken
    ]
    assert [link for link, told in faults if sum(told) != 1] == []
    assert len(warnings) == len(broken)


def test_a_notebook_is_a_page_with_its_outputs(tmp_path: pathlib.Path) -> None:
    pixel = base64.b64encode((ROOT / "docs/images/search.png").read_bytes()).decode()
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["matched 200\n"]},
        {
            "output_type": "display_data",
            "data": {"image/png": pixel, "text/plain": ["<Figure>"]},
            "metadata": {},
        },
    ]
    code = {"cell_type": "code", "id": "b", "execution_count": 1, "source": ["1 / 0"]}
    notebook = {
        "cells": [
            {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# Tutorial\n"]},
            code | {"metadata": {}, "outputs": outputs},
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "P", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    source = tmp_path / "pages"
    (source / "docs").mkdir(parents=True)
    (source / "docs/tutorial.ipynb").write_text(json.dumps(notebook))
    (source / "README.md").write_text("# First\n\n```{toctree}\ndocs/tutorial\n```\n")
    site, warnings = to_html(source)
    assert warnings == []
    page = read(site / "docs/tutorial.html")
    assert "matched 200" in text_of(page.article)
    loaded = [*links(site / "docs/tutorial.html", "img", "script")]
    assert [link for link in loaded if link.endswith(".png")] != []
    assert [link for link in loaded if not target(site / "docs/x", link).exists()] == []
