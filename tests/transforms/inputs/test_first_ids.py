"""Ids that are not unique, found in the first images of each file."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.runs import write_examples
from tests.support.tars import write_tar
from transforms.errors import InputError
from transforms.inputs.columns import FileColumns
from transforms.inputs.first_files import FILES_OF_A_KIND, first_files
from transforms.inputs.first_ids import check_first_ids
from transforms.inputs.listing import classify_inputs

IMAGE = b"\x89PNG, as far as a look goes"


def check(
    folder: pathlib.Path, image_id_from: str | None = None, image_key: str | None = None
) -> None:
    files = first_files(classify_inputs(str(folder))).files
    assert files
    check_first_ids(files, FileColumns(image_key, image_id_from, pa.schema([])))


def refused(folder: pathlib.Path, image_id_from: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        check(folder, image_id_from)
    return str(caught.value)


def write_parquet(path: pathlib.Path, **columns: object) -> None:
    pq.write_table(pa.table(columns), path)


def test_tars_that_each_count_from_0(tmp_path: pathlib.Path) -> None:
    for name in ("00000.tar", "00001.tar.gz", "00002.tar"):
        write_tar(tmp_path / name, {f"{n:09d}.jpg": IMAGE for n in range(9)})
    assert refused(tmp_path) == (
        f"image_id '000000000' is not unique: {tmp_path}/00000.tar#0 and {tmp_path}/00002.tar#0 "
        f"both have it; '000000001' is not unique: {tmp_path}/00000.tar#1 and "
        f"{tmp_path}/00002.tar#1 both have it; choose another key, such as --image_id_from uri "
        "(file and position), or name the column, feature or field that tells the images apart"
    )
    check(tmp_path, "uri")
    check(tmp_path, "relative_path")
    check(tmp_path, "filename")


def test_a_field_of_a_tar_as_the_id(tmp_path: pathlib.Path) -> None:
    for shard in "ab":
        members = {f"{shard}{n}.jpg": IMAGE for n in range(3)}
        members |= {f"{shard}{n}.txt": b"photo" if n else shard.encode() for n in range(3)}
        write_tar(tmp_path / f"{shard}.tar", dict(sorted(members.items())))
    check(tmp_path)
    assert f"'photo' is not unique: {tmp_path}/a.tar#1 and {tmp_path}/a.tar#2" in refused(
        tmp_path, "txt"
    )


def test_tfrecords_with_one_file_name(tmp_path: pathlib.Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        write_examples(tmp_path / folder / "a.tfrecord", [IMAGE] * 3)
    assert "'a-0.png' is not unique" in refused(tmp_path)
    check(tmp_path, "uri")
    (tmp_path / "y" / "a.tfrecord").unlink()
    check(tmp_path)


@pytest.mark.parametrize("name", ["image_id", "key"])
def test_parquet_with_a_column_of_ids(tmp_path: pathlib.Path, name: str) -> None:
    for shard in range(2):
        write_parquet(tmp_path / f"{shard}.parquet", image=[IMAGE] * 2, **{name: [7, 8 + shard]})
    image_id_from = None if name == "image_id" else name
    assert f"'7' is not unique: {tmp_path}/0.parquet#0 and {tmp_path}/1.parquet#0" in refused(
        tmp_path, image_id_from
    )
    check(tmp_path, "uri")
    check(tmp_path, "filename")


def test_parquet_of_hugging_face_with_one_path_in_every_row(tmp_path: pathlib.Path) -> None:
    image = pa.array([{"bytes": IMAGE, "path": "image.jpg"}] * 3)
    write_parquet(tmp_path / "train.parquet", image=image)
    assert f"'image.jpg' is not unique: {tmp_path}/train.parquet#0" in refused(tmp_path)
    write_parquet(tmp_path / "train.parquet", image=image, image_id=["a", "b", "c"])
    check(tmp_path)


def test_what_cannot_be_read_is_left_to_the_run(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"x" * 2000)
    (tmp_path / "b.parquet").write_bytes(b"no Parquet")
    (tmp_path / "c.tfrecord").write_bytes(b"no record")
    write_parquet(tmp_path / "d.parquet", other=[1])
    write_parquet(tmp_path / "f.parquet", image=[IMAGE], image_id=[b"\xff"])
    twice = pa.table([[IMAGE], [IMAGE]], names=["image", "image"])
    pq.write_table(twice, tmp_path / "g.parquet")
    # 000 again is no image: the archive is not sorted.
    write_tar(tmp_path / "e.tar", {"000.jpg": IMAGE, "001.jpg": IMAGE, "000.cls": b"1"})
    check(tmp_path)


def test_the_same_file_by_two_inputs_is_no_clash_of_ids(tmp_path: pathlib.Path) -> None:
    write_tar(tmp_path / "a.tar", {"000.jpg": IMAGE})
    sources = [*classify_inputs(str(tmp_path)), *classify_inputs(f"{tmp_path}/*.tar")]
    files = first_files(sources).files
    assert [file.uri for file in files] == [f"{tmp_path}/a.tar"]


def test_only_the_first_files_are_opened(tmp_path: pathlib.Path) -> None:
    for n in range(FILES_OF_A_KIND + 5):
        (tmp_path / f"{n:03d}.tar").touch()
        (tmp_path / f"{n:03d}.jpg").touch()
    write_parquet(tmp_path / "p.parquet", image=[IMAGE])
    for pattern in ("", "/*", "/{000..068}.tar"):
        names = [file.uri for file in first_files(classify_inputs(f"{tmp_path}{pattern}")).files]
        assert names[:FILES_OF_A_KIND] == [
            f"{tmp_path}/{n:03d}.tar" for n in range(FILES_OF_A_KIND)
        ]
        assert len(names) == FILES_OF_A_KIND + (".tar" not in pattern)
