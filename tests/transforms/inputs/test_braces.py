"""WebDataset's brace notation: what a pattern stands for."""

import pathlib

import pytest

from transforms.errors import InputError
from transforms.inputs.braces import MAX_NAMES, expand_braces
from transforms.inputs.listing import classify_inputs


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("train-{08..10}.tar", ["train-08.tar", "train-09.tar", "train-10.tar"]),
        ("gs://b/{9..11}.tar", ["gs://b/9.tar", "gs://b/10.tar", "gs://b/11.tar"]),
        ("{000..2}", ["000", "001", "002"]),
        ("{3..1}", ["3", "2", "1"]),
        ("{0..10..5}.tar", ["0.tar", "5.tar", "10.tar"]),
        ("{7..7}.tar", ["7.tar"]),
        ("{a,b}/{0..1}.tar", ["a/0.tar", "a/1.tar", "b/0.tar", "b/1.tar"]),
        ("x-{{00..01},{10..11}}", ["x-00", "x-01", "x-10", "x-11"]),
        ("{train,val}/*.tar", ["train/*.tar", "val/*.tar"]),
        ("x{,.gz}", ["x", "x.gz"]),
        ("{a{0..1}.tar", ["{a0.tar", "{a1.tar"]),
        ("{x}.tar", ["{x}.tar"]),
        ("{a..c}.tar", ["{a..c}.tar"]),
        ("}{0..", ["}{0.."]),
        ("/photos/a.jpg", ["/photos/a.jpg"]),
    ],
)
def test_ranges_and_lists_are_written_out_as_a_shell_does(pattern: str, names: list[str]) -> None:
    assert expand_braces(pattern) == names


def test_too_many_names_are_refused_before_they_are_made() -> None:
    assert len(expand_braces(f"{{1..{MAX_NAMES}}}")) == MAX_NAMES
    with pytest.raises(InputError, match="more than 100,000 names; name the directory, or write"):
        expand_braces("{0..999999999}{0..999999999}.tar")


def test_each_name_is_an_input_and_must_be_there(tmp_path: pathlib.Path) -> None:
    for number in (0, 1, 2, 4):
        (tmp_path / f"{number:05d}.tar").touch()
    sources = classify_inputs(f"{tmp_path}/{{00000..00002}}.tar")
    assert [source.pattern for source in sources] == [f"{tmp_path}/0000{n}.tar" for n in range(3)]
    with pytest.raises(InputError, match=r"/00003\.tar': no such file"):
        classify_inputs(f"{tmp_path}/{{00000..00004}}.tar")


def test_a_file_or_directory_of_that_very_name_is_taken_at_its_word(
    tmp_path: pathlib.Path,
) -> None:
    for name in ("{0..1}.tar", "0.tar", "1.tar"):
        (tmp_path / name).touch()
    (tmp_path / "{a,b}").mkdir()
    for name in ("{0..1}.tar", "{a,b}"):
        assert [s.pattern for s in classify_inputs(f"{tmp_path}/{name}")] == [f"{tmp_path}/{name}"]
    glob = f"{tmp_path}/{{0..1}}*"
    assert [source.pattern for source in classify_inputs(glob)] == [glob]
