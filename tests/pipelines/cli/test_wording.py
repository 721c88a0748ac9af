"""What programs say: aligned, and so that a terminal only shows it."""

import pytest

from pipelines.cli.program import report_errors
from pipelines.cli.wording import align, describe_duration, describe_size, describe_time, say, warn
from transforms.errors import InputError, RunError


def test_values_stand_under_one_another() -> None:
    rows = [("failed", "2"), ("", "1 decode/CorruptImage"), ("a long name", "x"), ("empty", "")]
    assert align(rows).splitlines() == [
        "failed    2",
        "          1 decode/CorruptImage",
        "a long name x",
        "empty",
    ]
    assert align([("a", "b")], width=3) == "a   b"


def test_a_value_is_one_line_and_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("class\x1b", "a\x1b[2J\nb")
    warn("a\x1b[2J\nb")
    captured = capsys.readouterr()
    assert captured.out == "class\\x1b a\\x1b[2J\\nb\n"
    assert captured.err == "warning: a\\x1b[2J\\nb\n"


@pytest.mark.parametrize(
    ("error", "code"), [(InputError("a\x1b[2J"), 2), (RunError("a\x1b[2J"), 1)]
)
def test_an_error_commands_no_terminal(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        raise error

    assert report_errors("verify", work) == code
    assert capsys.readouterr().err == "verify: a\\x1b[2J\n"


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 kB"), (182_000_000, "182.0 MB")],
)
def test_sizes_have_a_fitting_unit(size_bytes: int, text: str) -> None:
    assert describe_size(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00:00"), (130, "0:02:10"), (93_784, "1 day, 2:03:04")]
)
def test_times_are_hours_minutes_and_seconds(seconds: float, text: str) -> None:
    assert describe_time(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.26, "0.3 seconds"),
        (53.2, "53 seconds"),
        (89.4, "89 seconds"),
        (185, "3 minutes"),
        (3599, "1 hour"),
        (4330, "1 hour 12 minutes"),
        (26 * 3600 + 5, "1 day 2 hours"),
        (72 * 3600, "3 days"),
    ],
)
def test_durations_are_said_as_people_do(seconds: float, text: str) -> None:
    assert describe_duration(seconds) == text
