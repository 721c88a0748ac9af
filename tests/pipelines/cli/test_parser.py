"""The one parser: positional values, required flags, choices, and errors of one line."""

import dataclasses
import pathlib

import pytest

from pipelines.cli.flag import OPTIONS, REQUIRED, argument, flag
from pipelines.cli.parser import make_parser, parse_own_flags
from transforms.errors import FlagError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    runs: tuple[str, ...] = argument("what to look at", "RUN", repeatable=True)
    model: str = flag("which model", OPTIONS, REQUIRED, metavar="HANDLE")
    image: tuple[str, ...] = flag("an image", OPTIONS, (), metavar="FILE", repeatable=True)
    range: str = flag("of 100% of the pixels", OPTIONS, "0,1", choices=("0,1", "-1,1", "imagenet"))
    exif: str = flag("turn photos", "images", "apply", choices=("apply", "ignore"))


def parse(*argv: str, usage: str = "RUN [flags]") -> Config:
    return parse_own_flags(
        Config, argv, program="python -m pipelines.look", description="", usage=usage, epilog=""
    )


def test_what_stands_alone_is_found_before_and_after_flags() -> None:
    assert parse("a", "b", "--model", "m") == Config(runs=("a", "b"), model="m")
    found = parse("--image", "x", "--model", "m", "--image", "y", "a")
    assert found == Config(runs=("a",), model="m", image=("x", "y"))


def test_only_where_the_usage_says_so_are_flags_read_from_a_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "flags").write_text("--model m\n")
    assert parse("a", f"@{tmp_path}/flags", usage="RUN [@file]").model == "m"
    assert parse("@a", "--model", "m").runs == ("@a",)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("uri#row b # note", ["uri#row", "b"]),
        ("s3://b/#2/ x# 'y'#z#", ["s3://b/#2/", "x#", "y#z#"]),
        ("# all 'of it", []),
        ("\t#", []),
        ("a '#*' \"b # c\" # 'd", ["a", "#*", "b # c"]),
        (r"x\ #y \# #\\", ["x #y", "#"]),
        ("", []),
    ],
)
def test_a_comment_of_a_file_of_flags_begins_where_a_word_would(
    line: str, words: list[str], tmp_path: pathlib.Path
) -> None:
    (tmp_path / "flags").write_text(f"--model m a {line}\n")
    found = parse(f"@{tmp_path}/flags", usage="RUN [@file]")
    assert found.runs == ("a", *words)


def test_an_open_quote_of_a_file_of_flags_is_told(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flags").write_text("--model m a#1 'b # c\n")
    with pytest.raises(SystemExit):
        parse(f"@{tmp_path}/flags", usage="RUN [@file]")
    assert 'cannot read "--model m a#1 \'b # c" of an @file' in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["a", "--mod", "m"], ["a", "--model", "m", "--modle", "x"]])
def test_a_flag_is_neither_shortened_nor_misspelt(argv: list[str]) -> None:
    with pytest.raises(FlagError, match=r"unknown flag or argument --mod.*; did you mean --model"):
        parse(*argv)


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        ([], "the following arguments are required: RUN, --model"),
        (["a", "--model"], "argument --model: expected one argument"),
        (["a", "--model", "m", "--none"], "unrecognized arguments: --none"),
        (
            ["a", "--model", "m", "--range", "1\x1b"],
            "argument --range: got '1\\x1b', wanted one of 0,1 | -1,1 | imagenet",
        ),
        (
            ["a", "--model", "m", "--exif", "no"],
            "argument --exif: got 'no', wanted one of apply | ignore",
        ),
        (["a", "--model", "b\udcff"], "an argument or @file is not UTF-8"),
    ],
)
def test_what_does_not_parse_is_one_line(
    argv: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(*argv)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"look: {error}")
    assert told.count("\n") == 1


def test_help_shows_choices_that_hold_a_comma_apart() -> None:
    text = make_parser(
        Config, program="look", description="Looks.", usage="RUN [flags]", epilog="exit codes: 0"
    ).format_help()
    assert text.startswith("usage: look RUN [flags]\n\nLooks.\n")
    assert "--range {0,1 | -1,1 | imagenet}" in text
    assert "of 100% of the pixels (default 0,1)" in text
    assert "--exif {apply,ignore}" in text
    assert text.endswith("exit codes: 0\n")
