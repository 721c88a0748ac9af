"""Images of a run by their image_id, and what is said of one that is not there."""

import pytest

from tests.support.runs import run_embed, write_photos
from transforms.errors import InputError
from transforms.runs.record import PublishedRun
from transforms.runs.rows import find_rows, open_run, read_run


@pytest.fixture(scope="module", params=["parquet", "tfrecord"])
def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mean_color: str
) -> PublishedRun:
    folder = tmp_path_factory.mktemp("rows")
    write_photos(folder / "photos" / "Cats", 25)
    flags = ["--input", str(folder / "photos"), "--image_id_from", "relative_path"]
    flags += ["--rows_per_file", "10", "--output_format", request.param]
    assert run_embed(mean_color, folder / "run", *flags) == 0
    return open_run(str(folder / "run"))


def test_finds_rows_in_the_order_asked_for(run: PublishedRun) -> None:
    ids = [name for batch in read_run(run, ["image_id"]) for name in batch.column(0).to_pylist()]
    assert len(run.results) > 1
    asked = [ids[24], ids[0], ids[24], ids[11]]
    assert find_rows(run, asked).tolist() == [24, 0, 24, 11]


@pytest.mark.parametrize(
    ("image_id", "like"),
    [
        ("photo-003.png", "like it are 'Cats/photo-003.png'"),
        ("/elsewhere/PHOTO-003.png", "like it are 'Cats/photo-003.png'"),
        ("dog", "its ids are such as 'Cats/photo-0"),
        ("", "its ids are such as 'Cats/photo-0"),
        ("%.*(", "its ids are such as 'Cats/photo-0"),
    ],
)
def test_says_what_is_like_an_id_that_is_not_there(
    run: PublishedRun, image_id: str, like: str
) -> None:
    with pytest.raises(InputError) as caught:
        find_rows(run, ["Cats/photo-001.png", image_id])
    assert f"has no image_id {image_id!r}; {like}" in str(caught.value)
