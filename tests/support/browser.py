"""A real browser for the pages: headless Chromium by Playwright."""

import contextlib
import dataclasses
import pathlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@dataclasses.dataclass(frozen=True)
class OpenedPage:
    """A page in the browser.

    Attributes:
        page: Playwright's.
        complaints: What the console said, and what scripts raised: empty of a good page.
        requests: What it asked for besides itself: nothing, if it is static.
        seconds: Until all of it was there, scripts run.
    """

    page: "Page"
    complaints: list[str]
    requests: list[str]
    seconds: float


@contextlib.contextmanager
def open_page(
    path: pathlib.Path, *, width: int = 1200, height: int = 900, scripts: bool = True
) -> Iterator[OpenedPage]:
    """Opens a file in headless Chromium; skips the test if there is no Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            size: ViewportSize = {"width": width, "height": height}
            page = browser.new_page(viewport=size, java_script_enabled=scripts)
            complaints: list[str] = []
            requests: list[str] = []
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("request", lambda request: requests.append(request.url))
            page.goto(path.as_uri(), wait_until="load")
            timing = "performance.getEntriesByType('navigation')[0].duration"
            seconds = page.evaluate(timing) / 1000
            others = [url for url in requests if not url.startswith(("file:", "data:"))]
            yield OpenedPage(page, complaints, others, seconds)
        finally:
            browser.close()
