"""Retry-After is read as RFC 9110 has it, and as servers have it."""

import email.utils
import time

import pytest

from transforms.files.retry_after import retry_after_seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("1.5", None),
        ("²", None),
        ("9" * 40, None),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_seconds_and_dates_are_read(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value) == seconds


def test_a_date_to_come_is_as_far_away_as_it_is() -> None:
    later = email.utils.formatdate(time.time() + 60, usegmt=True)
    assert retry_after_seconds(later) == pytest.approx(60, abs=5)
