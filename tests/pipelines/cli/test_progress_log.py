"""Lines of progress where nobody watches."""

import re
import time

import pytest

from pipelines.cli.progress_log import Pace, ProgressLog, describe_progress
from transforms.steps.tally import Counts


@pytest.mark.parametrize(
    ("counts", "rate", "text"),
    [
        (Counts(), 0.0, "starting"),
        (Counts(total=50), 0.0, "0 of 50 images (0 %), 0/s, 0 failed"),
        (
            Counts(total=50_000, written=11_997, failed=3),
            231.4,
            "12,000 of 50,000 images (24 %), 231/s, 3 failed, about 3 min left",
        ),
        (
            Counts(total=90_000, written=10),
            9.96,
            "10 of 90,000 images (0 %), 10.0/s, 0 failed, about 2 h 31 min left",
        ),
        (
            Counts(total=100, written=99),
            5.0,
            "99 of 100 images (99 %), 5.0/s, 0 failed, about 1 s left",
        ),
        (Counts(total=9, written=9), 9.0, "9 of 9 images (100 %), 9.0/s, 0 failed"),
        # What is left is not known: files tell their images as they are read.
        (Counts(total=64, written=32, files=2), 32.0, "32 images, 32/s, 0 failed"),
    ],
)
def test_a_line_says_how_far_it_is_and_how_fast(counts: Counts, rate: float, text: str) -> None:
    assert describe_progress(counts, rate) == text


def test_the_rate_is_that_since_the_line_before() -> None:
    pace = Pace()
    pace.describe(Counts(total=2_000_000, written=1_000_000))
    assert ", 0/s, " in pace.describe(Counts(total=2_000_000, written=1_000_000))


def test_lines_come_one_after_the_other_until_they_are_stopped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = ProgressLog(1, lambda: "9 images\x1b")
    time.sleep(1.5)
    log.stop()
    time.sleep(0.3)  # One may be at work as it is stopped.
    captured = capsys.readouterr()
    line = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ 9 images\\x1b\n"
    assert re.fullmatch(f"({line})+", captured.err)
    assert captured.out == ""
    time.sleep(1.2)
    assert capsys.readouterr().err == ""


def test_no_line_comes_where_none_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    log = ProgressLog(0, lambda: "never")
    time.sleep(0.2)
    log.stop()
    assert capsys.readouterr().err == ""
