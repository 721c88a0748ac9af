"""--image_statistics: columns of what images look like, in every format, refreshed and reported."""

import pathlib

import numpy as np
import pytest

from pipelines import report, verify
from tests.support.images import encode, photo
from tests.support.profiles import display_p3
from tests.support.runs import latest, read, read_record, run_embed, run_refresh
from transforms.runs.rows import open_run, read_run
from transforms.schemas import STATISTICS_FIELDS

NAMES = [field.name for field in STATISTICS_FIELDS]


@pytest.fixture
def photos(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.jpg").write_bytes(encode(photo(60, 90, seed=number), "JPEG"))
    (folder / "black.png").write_bytes(encode(np.full((60, 90, 3), 3, np.uint8)))
    (folder / "white.png").write_bytes(encode(np.full((60, 90, 3), 255, np.uint8)))
    (folder / "long.png").write_bytes(encode(photo(8, 300)))
    (folder / "phone.jpg").write_bytes(encode(photo(60, 90, 9), "JPEG", icc_profile=display_p3()))
    (folder / "bad.jpg").write_bytes(b"no image")
    return folder


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_columns_are_written_verified_and_read(
    photos: pathlib.Path, tmp_path: pathlib.Path, mean_color: str, output_format: str
) -> None:
    argv = ["--input", str(photos), "--output_format", output_format, "--batch_size", "4"]
    out = tmp_path / "out"
    assert run_embed(mean_color, out, *argv, "--image_statistics") == 0
    assert verify.main([str(out)]) == 0
    (batch,) = read_run(open_run(str(out)), ["image_id", *NAMES])
    rows = {pathlib.Path(row.pop("image_id")).name: row for row in batch.to_pylist()}
    assert len(rows) == 10
    assert rows["black.png"]["brightness"] == pytest.approx(3 / 255)
    assert rows["black.png"]["sharpness"] == pytest.approx(0, abs=1e-6)
    assert [rows["black.png"][name] for name in NAMES[2:]] == ["PNG", "RGB", "none"]
    assert rows["white.png"]["brightness"] == pytest.approx(1)
    assert rows["phone.jpg"]["color_profile"] == "Display P3"
    assert rows["0.jpg"]["sharpness"] > 1


def test_a_refresh_that_asks_for_them_computes_anew_and_one_that_does_not_keeps_rows(
    photos: pathlib.Path, tmp_path: pathlib.Path, mean_color: str
) -> None:
    root, argv = tmp_path / "root", ["--input", str(photos)]
    reused = []
    for flags in ([], ["--image_statistics"], ["--image_statistics"], []):
        assert run_refresh(mean_color, root, *argv, *flags) == 0
        run = latest(root)
        assert verify.main([str(run)]) == 0
        reused.append(read_record(run)["changes"]["reused"])
        assert ("brightness" in read(run).schema.names) == bool(flags)
        because = "every image was computed again, because column brightness was not written"
        warnings = " ".join(read_record(run)["warnings"])
        assert (because in warnings) == (len(reused) == 2), warnings
    assert reused == [0, 0, 10, 10]


def test_carried_columns_may_not_have_their_names(
    photos: pathlib.Path, tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture
) -> None:
    argv = ["--input", str(photos), "--carry_columns", "mode", "--image_statistics"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    assert "--carry_columns mode: the output has a column mode" in capsys.readouterr().err


def test_the_report_shows_what_stands_out(
    photos: pathlib.Path, tmp_path: pathlib.Path, mean_color: str
) -> None:
    out, page = tmp_path / "out", tmp_path / "page.html"
    assert run_embed(mean_color, out, "--input", str(photos), "--image_statistics") == 0
    assert report.main([str(out), "--output", str(page)]) == 0
    text = page.read_text()
    section = text[text.index('id="looks"') :]
    for words in ("1 Display P3", "9 none", "7 JPEG, 3 PNG", "brightness 0.012", "8 x 300"):
        assert words in section, words
    order = [section.index(f"The {what}") for what in ("darkest", "brightest", "least sharp")]
    assert order == sorted(order)
    assert section.index("black.png") < section.index("The brightest")
    assert "long.png" in section[section.index("The longest and narrowest") :]
