"""axe-core on a page: what people with a keyboard or a screen reader would run into."""

import os
import pathlib

import pytest
from playwright.sync_api import Page

_PLACES = ("node_modules", os.environ.get("AXE_MODULES", ""))
_RUN = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"


def find_problems(page: Page) -> list[str]:
    """Returns what axe-core finds serious or critical; skips the test where it is not installed.

    `npm install axe-core` puts it into node_modules; AXE_MODULES names another such directory.
    """
    places = [pathlib.Path(place) / "axe-core" / "axe.min.js" for place in _PLACES if place]
    script = next((place for place in places if place.exists()), None)
    if script is None:
        pytest.skip("no axe-core in node_modules or AXE_MODULES")
    # Not as a tag: the page's policy runs no script but its own.
    page.evaluate(script.read_text("utf-8"))
    return [
        f"{found['id']}: {found['help']}: {found['nodes'][0]['html']}"
        for found in page.evaluate(_RUN)
        if found["impact"] in ("serious", "critical")
    ]
