"""Pages are static, escaped, and run no script of strangers: in a real browser."""

import datetime
import pathlib
import shutil

import pytest

from tests.support.axe import find_problems
from tests.support.browser import open_page
from tests.support.images import encode, photo
from transforms.explore import page as page_module
from transforms.explore.page import render_page
from transforms.explore.thumbnails import Thumbnail, draw_thumbnail

HOSTILE = """<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>"""
CLOSING = "</script></style>--><script>document.title='owned'</script>"
PICTURE = Thumbnail(draw_thumbnail(encode(photo(300, 200)), 96, 10**6), "")

_TEMPLATE = """
{% extends "page.html" %}{% block content %}
{{ show.facts([('images', 12345|count), ('name', name)]) }}
<time datetime="{{ now }}">some day</time>
{% call show.section(contents, "table", name) %}
{{ show.table(['a', 'b'], [[name, 1]], [1]) }}
{% endcall %}
{% call show.section(contents, "cards", "Cards") %}
{{ show.command("python -m pipelines.embed '" ~ name ~ "'") }}
{{ show.card(thumbnail, name, name, 0, name, 3) }}
{% call show.card(thumbnail, "second", row=1, label="cat") %}
<details><summary>more</summary>{{ show.bar(0.5, name) }}</details>
{% endcall %}
{{ show.card(thumbnail, "third", row=2) }}
{% endcall %}
{% endblock %}
"""
DATA = {"pictures": {"7": [CLOSING, ""]}, "near": {"0": [[7, 0.5], [2, 0.25]]}}


@pytest.fixture
def html(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A page with three pictures, a name and a table."""
    templates = pathlib.Path(page_module.__file__).parent / "templates"
    shutil.copytree(templates, tmp_path / "templates")
    (tmp_path / "templates" / "test.html").write_text(_TEMPLATE)
    monkeypatch.setattr(page_module, "_TEMPLATES", tmp_path / "templates")
    now = datetime.datetime.now(datetime.UTC).isoformat()
    return render_page("test.html", DATA, title="A page", name=HOSTILE, thumbnail=PICTURE, now=now)


def test_names_are_text_everywhere(html: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out.html").write_text(html)
    with open_page(tmp_path / "out.html") as opened:
        page = opened.page
        assert page.locator("td").first.inner_text() == HOSTILE
        assert page.evaluate("document.querySelector('figure img').naturalHeight") == 96
        assert "12,345" in page.locator(".facts").inner_text()
        assert page.locator("nav li").all_inner_texts() == [HOSTILE, "Cards"]
        page.locator("figure button").first.click()
        assert page.locator("#viewer-name").inner_text() == HOSTILE
        near = page.locator(".near button")
        assert near.locator(".name").all_text_contents() == [CLOSING, "third"]
        near.first.click()
        assert page.locator("#viewer-name").inner_text() == CLOSING
        assert page.locator("img[src='x']").count() == 0
        assert page.title() == "A page"
        assert opened.complaints == []
        assert opened.requests == []


def test_a_script_or_a_style_that_slips_in_does_nothing(html: str, tmp_path: pathlib.Path) -> None:
    slipped = f"{HOSTILE}<style>h1 {{ display: none }}</style><p style='color: red'>x</p></main>"
    (tmp_path / "out.html").write_text(html.replace("</main>", slipped))
    with open_page(tmp_path / "out.html") as opened:
        assert opened.page.title() == "A page"
        assert opened.page.locator("h1").is_visible()
        assert any("Content Security Policy" in line for line in opened.complaints)
    assert "unsafe" not in html


def test_keys_go_through_the_large_pictures(html: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out.html").write_text(html)
    with open_page(tmp_path / "out.html") as opened:
        page = opened.page
        name = page.locator("#viewer-name")
        page.locator("figure button").first.press("Enter")
        assert "3 copies" in page.locator(".about").inner_text()
        page.keyboard.press("ArrowRight")
        assert name.inner_text() == "second"
        # What is on demand on the page is here.
        assert page.locator(".about meter").is_visible()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert name.inner_text() == "third"
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Escape")
        assert not page.locator("dialog").is_visible()
        focused = page.evaluate("document.activeElement.closest('figure').dataset.id")
        assert focused == "second"
        assert opened.complaints == []


def test_the_filter_keeps_what_has_the_id_or_the_class(html: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out.html").write_text(html)
    with open_page(tmp_path / "out.html") as opened:
        page = opened.page
        shown = page.locator("figure:visible .name")
        for wanted, names in (("CAT", ["second"]), ("thi", ["third"]), ("onerror", [HOSTILE])):
            page.locator("#filter").fill(wanted)
            assert shown.all_inner_texts() == names
            assert page.locator("output").inner_text() == "1 of 3 shown here"
        page.locator("#filter").fill("")
        assert shown.count() == 3


def test_times_are_said_as_people_do(html: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out.html").write_text(html)
    with open_page(tmp_path / "out.html") as opened:
        words = opened.page.locator("time").inner_text().split()
        assert words[0] in ("today", "yesterday")
        assert words[2] == "UTC"


def test_without_scripts_all_of_it_is_there(html: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out.html").write_text(html)
    with open_page(tmp_path / "out.html", scripts=False) as opened:
        page = opened.page
        assert page.locator("figure img").count() == 3
        assert page.locator("time").inner_text() == "some day"
        assert not page.locator("#filter").is_visible()
        assert not page.locator("dialog").is_visible()
        page.locator("summary").click()
        assert page.locator("meter").is_visible()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing_serious(html: str, tmp_path: pathlib.Path, colours: str) -> None:
    (tmp_path / "out.html").write_text(html)
    with open_page(tmp_path / "out.html") as opened:
        opened.page.emulate_media(color_scheme="dark" if colours == "dark" else "light")
        assert find_problems(opened.page) == []
        opened.page.locator("figure button").first.click()
        assert find_problems(opened.page) == []
