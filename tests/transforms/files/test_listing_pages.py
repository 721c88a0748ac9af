"""Pages of a listing: asked for again, and none twice."""

from collections.abc import Iterator

import pytest

from transforms.files import listing_pages
from transforms.files.listing_pages import Page, each_page
from transforms.files.object_store import TransientError
from transforms.files.store_errors import no_answer

BUCKET = "s3://bucket"
PAGES = {None: Page(["a/", "b/"], "1"), "1": Page(["c/"], "2"), "2": Page(["d/"], None)}


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_pages, "WAITS_SECONDS", (0, 0, 0, 0))


def listed(*errors: Exception) -> list[str]:
    """Lists PAGES; asked for the second, the store fails so, one error after the other."""
    left: Iterator[Exception] = iter(errors)

    def fetch(token: str | None) -> Page:
        if token == "1" and (error := next(left, None)):
            raise error
        return PAGES[token]

    return [str(entry) for entry in each_page(fetch, BUCKET)]


def test_what_is_no_page_is_asked_for_again() -> None:
    busy = TransientError("busy", reason="429", is_throttled=True)
    for errors in ([], [no_answer(BUCKET)], [busy, no_answer(BUCKET), busy, busy]):
        assert listed(*errors) == ["a/", "b/", "c/", "d/"]


def test_a_listing_does_not_end_where_a_page_is_missing() -> None:
    with pytest.raises(TransientError, match=f"^{BUCKET}: what came is no answer of a store$"):
        listed(*[no_answer(BUCKET)] * 5)
    with pytest.raises(TransientError, match=r"^reset$"):  # Its client has tried again.
        listed(TransientError("reset", reason="reset"))


def test_no_page_is_listed_for_ever() -> None:
    with pytest.raises(OSError, match="its listing has a page that is followed by itself"):
        list(each_page(lambda _: Page(["a/"], "1"), BUCKET))
