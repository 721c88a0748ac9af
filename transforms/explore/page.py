"""A static page: one HTML file with everything in it, safe to mail and to open anywhere."""

import base64
import hashlib
import pathlib
from collections.abc import Iterable
from typing import Any

from transforms.machine.extras import import_extra

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_STYLE = "page.css"


def render_page(template: str, scripts: Iterable[str] = (), **values: Any) -> str:  # noqa: ANN401 - whatever a template shows
    """Fills in a template.

    Names and labels are text of strangers: whatever is filled in is escaped, and the page's content
    security policy runs no script but those given here, and fetches nothing.

    Args:
        template: A file of transforms/explore/templates; it extends page.html.
        scripts: JavaScript to run once the page is there, in order. Nothing in it may be from data;
            hand that over in a `data-` attribute or a `<script type="application/json">`.
        values: Values that the template shows. A name that is missing is an error.

    Returns:
        An HTML document.

    Raises:
        FlagError: If Jinja is not installed.
    """
    jinja2 = import_extra("jinja2")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = "{:,}".format
    style = (_TEMPLATES / _STYLE).read_text()
    sources = tuple(scripts)
    return environment.get_template(template).render(
        page_style=style,
        page_scripts=sources,
        page_policy=content_security_policy(sources),
        **values,
    )


def content_security_policy(scripts: Iterable[str]) -> str:
    """Returns the policy of a page that runs these scripts and no other.

    Source: Content Security Policy Level 3, W3C, section 2.3.1: `'sha256-…'` of an inline script.
    Styles may be inline, for drawing libraries set them; they can fetch nothing.
    """
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    ]
    allowed = " ".join(hashes) or "'none'"
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src {allowed}; base-uri 'none'; form-action 'none'"
    )
