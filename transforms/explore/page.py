"""A static page: one HTML file with everything in it, safe to mail and to open anywhere."""

import base64
import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

from transforms.machine.extras import import_extra

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_STYLE, _SCRIPT = "page.css", "page.js"


def render_page(
    template: str,
    data: Mapping[str, Any] | None = None,
    **values: Any,  # noqa: ANN401 - whatever a template shows
) -> str:
    """Fills in a template.

    Names and labels are text of strangers: whatever is filled in is escaped, and the page's content
    security policy runs no script and takes no style but its own, and fetches nothing. Without its
    script a page lacks the filter and the large pictures, and no more.

    Args:
        template: A file of transforms/explore/templates; it extends page.html.
        data: What the script knows besides what is on the page, such as small pictures; JSON's
            types.
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
    style, script = ((_TEMPLATES / name).read_text("utf-8") for name in (_STYLE, _SCRIPT))
    return environment.get_template(template).render(
        page_style=style,
        page_script=script,
        page_policy=content_security_policy(style, script),
        page_data=data or {},
        **values,
    )


def content_security_policy(style: str, script: str) -> str:
    """Returns the policy of a page with this style and this script, and no other.

    Source: Content Security Policy Level 3, W3C, section 2.3.1: `'sha256-…'` of what is inline. A
    block of JSON is no script, and needs none.
    """
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (style, script)
    )
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style_hash}'; "
        f"script-src 'sha256-{script_hash}'; base-uri 'none'; form-action 'none'"
    )
