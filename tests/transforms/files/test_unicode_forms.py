"""Which file a name means whose accents are written in another way."""

import pathlib
import unicodedata

import pytest

from transforms.files.unicode_forms import in_form_on_disk

JOSE, CAFE, HANGUL = "Jos\u00e9", "caf\u00e9.jpg", "\ud55c.jpg"


def apart(name: str) -> str:
    return unicodedata.normalize("NFD", name)


@pytest.mark.parametrize("given", [str, apart])
@pytest.mark.parametrize("folder", [JOSE, apart(JOSE), "plain"])
@pytest.mark.parametrize("name", [CAFE, HANGUL])
def test_a_name_is_found_in_either_form_part_by_part(
    tmp_path: pathlib.Path, folder: str, name: str, given: type[str]
) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / apart(name)).write_bytes(b"123")
    wanted = f"{tmp_path}/{folder}/{apart(name)}"
    asked = f"{tmp_path}/{given(unicodedata.normalize('NFC', folder))}/{given(name)}"
    assert in_form_on_disk(asked) == (wanted if asked != wanted else None)


@pytest.mark.parametrize(
    "name", [CAFE, "plain.jpg", "caf\u00e9\0", "caf\udce9", "\ud800\u00e9", "\u00e9" * 300]
)
def test_a_name_that_is_there_in_no_form_is_not_found(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / "cafe.jpg").write_bytes(b"123")
    assert in_form_on_disk(f"{tmp_path}/{name}") is None


def test_a_name_is_not_found_in_a_directory_that_is_not_there(tmp_path: pathlib.Path) -> None:
    assert in_form_on_disk(f"{tmp_path}/absent/{CAFE}") is None
    (tmp_path / CAFE).write_bytes(b"a file")
    assert in_form_on_disk(f"{tmp_path}/{CAFE}/{CAFE}") is None
