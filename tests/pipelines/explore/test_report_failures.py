"""What a report draws of images that failed."""

import json
import pathlib

import pytest

from pipelines.explore.report_failures import show_failures
from tests.support.images import encode, photo
from tests.support.runs import run_embed
from transforms.runs.rows import open_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, mean_color: str) -> pathlib.Path:
    """A run over a photo and what is none."""
    folder = tmp_path_factory.mktemp("failures")
    (folder / "photos").mkdir()
    (folder / "photos" / "good.jpg").write_bytes(encode(photo(60, 90), "JPEG"))
    (folder / "photos" / "bad.jpg").write_bytes(b"no image")
    flags = ["--input", str(folder / "photos"), "--max_failed_fraction", "1"]
    assert run_embed(mean_color, folder / "run", *flags) == 0
    return folder / "run"


@pytest.mark.parametrize("reason", ["DecodeTimeout", "DecoderCrash", "CorruptImage"])
def test_what_a_decoder_died_of_is_not_decoded_again(run: pathlib.Path, reason: str) -> None:
    published = open_run(str(run))
    failure = json.loads(pathlib.Path(published.failures_path).read_text())
    failure |= {"error_type": reason, "uri": str(run.parent / "photos" / "good.jpg")}
    pathlib.Path(published.failures_path).write_text(json.dumps(failure) + "\n")
    (sheet,) = show_failures(published, 64).sheets
    assert sheet.title == f"1 decode/{reason}"
    (card,) = sheet.cards
    assert bool(card.thumbnail.jpeg) == (reason == "CorruptImage")
