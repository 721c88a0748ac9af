"""Pages are static, escaped, and run no script of strangers: in a real browser."""

import pathlib

import pytest

from tests.support.browser import open_page
from tests.support.images import encode, photo
from transforms.explore import page as page_module
from transforms.explore.page import render_page
from transforms.explore.thumbnails import Thumbnail, draw_thumbnail

HOSTILE = """<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>"""


@pytest.fixture
def template(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A template of a page with a picture, a name and a table."""
    for name in ("page.html", "page.css", "macros.html"):
        source = pathlib.Path(page_module.__file__).parent / "templates" / name
        (tmp_path / name).write_text(source.read_text())
    (tmp_path / "test.html").write_text(
        '{% extends "page.html" %}{% block content %}'
        "{{ show.facts([('images', 12345|count), ('name', name)]) }}"
        "{{ show.table(['a', 'b'], [[name, 1]], [1]) }}"
        "{{ show.card(thumbnail, name) }}{{ show.bar(0.5, name) }}"
        "{% endblock %}"
    )
    monkeypatch.setattr(page_module, "_TEMPLATES", tmp_path)
    return "test.html"


def test_names_are_text_and_only_own_scripts_run(template: str, tmp_path: pathlib.Path) -> None:
    jpeg = draw_thumbnail(encode(photo(300, 200)), 96, 10**6)
    html = render_page(
        template,
        ["document.body.dataset.ran = 'yes'"],
        title="A page",
        name=HOSTILE,
        thumbnail=Thumbnail(jpeg, ""),
    )
    (tmp_path / "out.html").write_text(html)
    with open_page(tmp_path / "out.html") as opened:
        page = opened.page
        assert page.title() == "A page"
        assert page.evaluate("document.body.dataset.ran") == "yes"
        assert page.locator("td").first.inner_text() == HOSTILE
        assert page.evaluate("document.querySelector('img').naturalHeight") == 96
        assert page.locator("img").count() == 1
        assert "12,345" in page.locator(".facts").inner_text()
        assert opened.complaints == []
        assert opened.requests == []


def test_a_script_that_slips_in_does_not_run(template: str, tmp_path: pathlib.Path) -> None:
    html = render_page(template, title="A page", name="x", thumbnail=Thumbnail(b"", "gone"))
    html = html.replace("</main>", HOSTILE + "</main>")
    (tmp_path / "out.html").write_text(html)
    with open_page(tmp_path / "out.html") as opened:
        assert opened.page.title() == "A page"
        assert any("Content Security Policy" in line for line in opened.complaints)
