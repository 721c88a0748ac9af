"""Images by uri, from files and out of files of many."""

import pathlib

import pyarrow as pa
import pytest

from tests.support.runs import solid, write_examples
from tests.support.tars import write_tar
from transforms.explore import named_images
from transforms.explore.named_images import read_named_images
from transforms.inputs.columns import FileColumns

COLUMNS = FileColumns(None, "uri", pa.schema([]))
IMAGES = [solid(n, 0, 0) for n in range(40)]


@pytest.fixture
def places(tmp_path: pathlib.Path) -> dict[str, bytes]:
    """Images by uri, in files and in files of many."""
    write_tar(tmp_path / "a.tar", {f"{n:02}.png": image for n, image in enumerate(IMAGES)})
    write_examples(tmp_path / "b.tfrecord", IMAGES)
    for n in range(20):
        (tmp_path / f"{n}.png").write_bytes(IMAGES[n])
    files = {f"{tmp_path}/{n}.png": IMAGES[n] for n in range(20)}
    tar = {f"{tmp_path}/a.tar#{n}": IMAGES[n] for n in (39, 3, 17)}
    return {**tar, **files, f"{tmp_path}/b.tfrecord#20": IMAGES[20]}


def read(uris: list[str], max_image_bytes: int = 10**6) -> dict[str, bytes | str]:
    found = list(read_named_images(uris, COLUMNS, max_image_bytes))
    assert len(found) == len(set(uris))
    return dict(found)


def test_reads_images_wherever_they_are(places: dict[str, bytes]) -> None:
    assert read([*places, *places]) == places


def test_says_what_is_wrong_and_reads_the_rest(
    tmp_path: pathlib.Path, places: dict[str, bytes]
) -> None:
    wrong = {
        f"{tmp_path}/gone.png": "no such file",
        f"{tmp_path}/gone.tar#1": "no such file",
        f"{tmp_path}/a.tar#40": "no such record, row or sample",
        "nowhere://bucket/c.png": "cannot be opened",
        "nowhere://bucket/c.tar#1": "cannot be opened",
    }
    found = read([*wrong, *places])
    for uri, text in wrong.items():
        note = found.pop(uri)
        assert isinstance(note, str)
        assert text in note.lower()
    assert found == places
    assert all(isinstance(image, str) for image in read(list(places), 10).values())


def test_does_not_look_through_more_than_a_limit(
    places: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_images, "MAX_SCAN_BYTES", 50_000)  # The tar is larger.
    found = read(list(places))
    notes = {uri for uri, image in found.items() if isinstance(image, str)}
    assert {uri.rpartition("/")[2] for uri in notes} == {
        "a.tar#39",
        "a.tar#3",
        "a.tar#17",
        "b.tfrecord#20",
    }
    assert all(found[uri] == image for uri, image in places.items() if uri not in notes)
