"""Local paths are what they are: no character of them stands for others."""

import os
import pathlib

import pytest

from transforms.files.atomic_files import link_or_copy, make_directory, write_whole
from transforms.files.file_systems import create_as_stored, delete, list_files, look_at

NAMES = ["[ab]", "a*", "a?", "[!x]", "**", "]["]


@pytest.mark.parametrize("name", NAMES)
def test_a_local_directory_is_listed_and_deleted_by_its_name_alone(
    tmp_path: pathlib.Path, name: str
) -> None:
    folders = [tmp_path / other for other in (name, "a", "ab", "b", "abc")]
    for folder in folders:
        (folder / "[d]").mkdir(parents=True)
        (folder / "[d]" / "x[1].txt").write_bytes(b"123")
        (folder / "[d]" / "x1.txt").write_bytes(b"4")
    inside = folders[0] / "[d]"
    assert sorted((found.path, found.size_in_bytes) for found in list_files(str(folders[0]))) == [
        (f"{inside}/x1.txt", 1),
        (f"{inside}/x[1].txt", 3),
    ]
    assert look_at(f"{inside}/x[1].txt").last_updated_in_seconds == os.path.getmtime(
        f"{inside}/x[1].txt"
    )
    delete([f"{inside}/x[1].txt"])
    assert os.listdir(inside) == ["x1.txt"]
    delete([str(folders[0])])
    assert sorted(os.listdir(tmp_path)) == sorted(folder.name for folder in folders[1:])
    assert all(len(os.listdir(folder / "[d]")) == 2 for folder in folders[1:])


def test_the_lost_and_found_of_a_mount_point_is_passed_over(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").touch()
    (tmp_path / "in").mkdir()
    for folder in (tmp_path, tmp_path / "in"):
        (folder / "lost+found").mkdir(0)
    with pytest.raises(PermissionError):
        list_files(str(tmp_path))
    monkeypatch.setattr("os.path.ismount", lambda path: path == str(tmp_path))
    with pytest.raises(PermissionError, match="in/lost"):  # A directory of that name, no more.
        list_files(str(tmp_path))
    (tmp_path / "in" / "lost+found").rmdir()
    assert [found.path for found in list_files(str(tmp_path))] == [str(tmp_path / "x")]


def test_what_is_absent_is_empty_to_list_and_an_error_to_delete(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    assert list_files(str(tmp_path / "absent")) == []
    assert list_files(str(tmp_path / "file")) == []
    delete([])
    with pytest.raises(FileNotFoundError):
        delete([str(tmp_path / "absent"), str(tmp_path / "file")])
    assert os.listdir(tmp_path) == []


def test_a_link_is_deleted_and_what_it_leads_to_stays(tmp_path: pathlib.Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    delete([str(tmp_path / "link")])
    assert os.listdir(tmp_path) == ["real"]
    assert os.listdir(tmp_path / "real") == ["x"]


def test_a_directory_that_has_gone_stays_so_whoever_writes_there(tmp_path: pathlib.Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"123")
    path = str(tmp_path / "gone" / "x")
    with pytest.raises(FileNotFoundError):
        write_whole(path, b"123")
    with pytest.raises(FileNotFoundError):
        create_as_stored(path)
    with pytest.raises(FileNotFoundError):
        link_or_copy(str(source), path)
    assert os.listdir(tmp_path) == ["source"]
    make_directory(str(tmp_path / "gone"))
    link_or_copy(str(source), path)
    assert (tmp_path / "gone" / "x").read_bytes() == b"123"
