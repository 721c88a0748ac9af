"""A run whose images are in a store that fails now and then, and of one image always."""

import pathlib
from collections import Counter

from tests.support.runs import read, read_failures, read_record, run_embed, write_photos
from tests.support.storage import use_storage_server

IMAGES = 120
FAULTS = ("reset", "short", "long", "checksum", "408", "429", "500", "503")


def test_a_run_ends_with_every_row_and_says_what_was_asked_again(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos = tmp_path / "photos"
    write_photos(photos, IMAGES)
    broken = sorted(path.name for path in photos.iterdir())[7]
    argv = ["--input", "gs://photos", "--storage_timeout", "5"]
    with use_storage_server(photos) as server:
        assert run_embed(mean_color, tmp_path / "good", *argv) == 0
        server.behave(faults=dict.fromkeys(FAULTS, 0.02), broken={broken: (0, 1)})
        assert run_embed(mean_color, tmp_path / "faulty", *argv) == 0
        record = read_record(tmp_path / "faulty")
        assert record["counts"]["written"] == IMAGES - 1
        assert record["failures_by_reason"] == {"read/Unavailable": 1}
        (failure,) = read_failures(tmp_path / "faulty")
        assert failure["image_id"] == f"gs://photos/{broken}"
        retries = record["retries_by_reason"]
        assert retries["503"] >= 3
        assert sum(retries.values()) > retries["503"]
        assert retries == sum((Counter(file["retries"]) for file in record["files"]), Counter())
        server.behave()
        again = ["--retry_failed", str(tmp_path / "faulty")]
        assert run_embed(mean_color, tmp_path / "mended", *again) == 0
    good = read(tmp_path / "good")
    assert read(tmp_path / "mended").equals(good)
    # On a busy machine some are asked for twice.
    assert read_record(tmp_path / "good")["retries_by_reason"].keys() <= {"slow"}
    assert read_record(tmp_path / "mended")["failures_by_reason"] == {}
