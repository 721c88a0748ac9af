import pathlib

import pytest

from transforms.errors import OutputError
from transforms.files.new_directory import check_new_directory


@pytest.mark.parametrize("name", ["new", "deep/er/new", "empty"])
def test_what_is_new_or_empty_may_be_written(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert check_new_directory(f"{tmp_path}/{name}/") == str(tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["file/new", "file/deep/er/new"])
def test_nothing_is_written_below_a_file(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=rf"cannot write .*{name}: .*/file is no directory"):
        check_new_directory(str(tmp_path / name))


@pytest.mark.parametrize("mode", [0o555, 0o666, 0])
@pytest.mark.parametrize("name", ["new", "deep/er/new", "empty"])
def test_a_directory_that_may_not_be_written_is_told_at_once(
    tmp_path: pathlib.Path, name: str, mode: int
) -> None:
    closed = tmp_path / "closed"
    (closed / "empty").mkdir(parents=True)
    closed.chmod(mode)
    try:
        with pytest.raises(OutputError, match=rf"cannot write .*{name}: .*/closed is closed"):
            check_new_directory(str(closed / name))
    finally:
        closed.chmod(0o700)
