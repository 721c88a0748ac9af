"""Messages on one line, and names that a terminal only shows."""

import pytest

from transforms.errors import brief, printable


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("two\n  lines\tof it"), "two lines of it"),
        (ValueError(), "ValueError"),
        (ValueError("x" * 500), "x" * 500),
        (ValueError("x" * 501), "x" * 499 + "…"),
    ],
)
def test_an_error_is_one_line_and_not_too_long(error: Exception, text: str) -> None:
    assert brief(error) == text


def test_the_message_of_a_librarys_error_is_taken_without_what_stands_around_it() -> None:
    error = ValueError("404 GET https://example.org: no such bucket")
    error.message = "no such bucket"  # type: ignore[attr-defined]
    assert brief(error) == "no such bucket"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Müller 猫.jpg", "Müller 猫.jpg"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\u202e", "a\\nb\\u202e"),
        ("b\udcff", "b\\udcff"),
        ("a\\x1b", "a\\x1b"),
    ],
)
def test_a_name_is_shown_and_not_obeyed(name: str, shown: str) -> None:
    assert printable(name) == shown
    assert printable(shown) == shown
