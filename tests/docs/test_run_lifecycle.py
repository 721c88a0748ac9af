"""docs/run_lifecycle.md: every reason for which an image fails is in its table."""

import re

from tests.support.places import ROOT
from transforms import errors
from transforms.errors import ImageError
from transforms.failure import PASSING_REASONS

PAGE = ROOT / "docs" / "run_lifecycle.md"
ROWS = dict(re.findall(r"^\| `(\w+/\w+)` \|.*\| ([^|]+) \|$", PAGE.read_text(), re.M))
"""What the table says of each "step/error_type": whether it is tried again."""


def test_every_error_type_is_in_the_table() -> None:
    types = {
        error("").error_type
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, ImageError) and error is not ImageError
    }
    assert len(types) >= 20
    assert {reason.partition("/")[2] for reason in ROWS} == types


def test_the_table_says_which_are_tried_again() -> None:
    assert {reason for reason, again in ROWS.items() if again == "yes"} == PASSING_REASONS
