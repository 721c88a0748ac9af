"""Small pictures of a run's images."""

import io
import pathlib

import numpy as np
import PIL.Image
import pyarrow as pa
import pytest

from tests.support.images import encode, exif, photo
from tests.support.runs import read, read_record, run_embed, write_examples
from transforms.boxes import ImageBox
from transforms.errors import (
    BoxOutsideError,
    CorruptImageError,
    ImageTooLargeError,
    UnsupportedFormatError,
)
from transforms.explore import thumbnails
from transforms.explore.thumbnails import (
    COLUMNS,
    Thumbnail,
    draw_boxes,
    draw_thumbnail,
    read_thumbnails,
)
from transforms.images.pillow_files import open_with_pillow


def opened(jpeg: bytes) -> PIL.Image.Image:
    image = PIL.Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    return image


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
def test_keeps_the_aspect_ratio_and_the_colours(format: str) -> None:
    red = np.full((300, 400, 3), (200, 40, 40), np.uint8)
    image = opened(draw_thumbnail(encode(red, format), 96, 10**6))
    assert image.size == (96, 72)
    assert np.abs(np.asarray(image).reshape(-1, 3).mean(0) - (200, 40, 40)).max() < 6


def test_small_images_stay_small() -> None:
    assert opened(draw_thumbnail(encode(photo(8, 5)), 96, 10**6)).size == (5, 8)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_upright(orientation: int, format: str) -> None:
    half = np.zeros((64, 32, 3), np.uint8)
    half[:8, :8] = 255
    encoded = encode(half, format, exif=exif(orientation))
    upright = PIL.ImageOps.exif_transpose(
        PIL.Image.open(io.BytesIO(encode(half, "PNG", exif=exif(orientation))))
    )
    image = opened(draw_thumbnail(encoded, 64, 10**6))
    assert image.size == upright.size
    assert np.abs(np.asarray(image, int) - np.asarray(upright, int)).mean() < 4


def test_noise_is_drawn_worse_so_that_pages_stay_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    jpeg = draw_thumbnail(encode(noise), 256, 10**6)
    assert opened(jpeg).size == (256, 256)
    assert len(jpeg) <= 1024 + 256 * 256 / 4
    assert len(draw_thumbnail(encode(noise), 48, 10**6)) <= 1024 + 48 * 48 / 4


def test_refuses_what_a_run_refuses() -> None:
    with pytest.raises(ImageTooLargeError):
        draw_thumbnail(encode(photo(300, 200)), 96, 59_999)
    with pytest.raises(UnsupportedFormatError):
        draw_thumbnail(b"<svg/>", 96, 10**6)
    with pytest.raises(CorruptImageError):
        draw_thumbnail(encode(photo(300, 200), "JPEG")[:2000], 96, 10**6)


@pytest.mark.parametrize("exif_policy", ["apply", "ignore"])
def test_draws_the_parts_of_an_image_of_one_decoding(
    exif_policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_files: list[str] = []

    def counted(encoded: bytes, format: str) -> PIL.Image.Image:
        opened_files.append(format)
        return open_with_pillow(encoded, format)

    monkeypatch.setattr(thumbnails, "open_with_pillow", counted)
    # Stored 40 x 60, shown 60 x 40 with the red corner in its upper right.
    stored = np.zeros((40, 60, 3), np.uint8)
    stored[:20, :20] = (250, 0, 0)
    encoded = encode(stored, "JPEG", exif=exif(6))
    corner = (0, 20, 20, 40) if exif_policy == "apply" else (0, 0, 20, 20)
    red, wide = ImageBox(*corner, in_pixels=True), ImageBox(0.5, 0.0, 1.0, 1.0, in_pixels=False)
    away = ImageBox(90, 90, 99, 99, in_pixels=True)
    policy = {"max_image_pixels": 10**6, "exif": exif_policy, "box_margin": 0.0}
    drawn = draw_boxes(encoded, {red, wide, away, None}, 96, policy)
    assert opened_files == ["JPEG"]
    error = drawn.pop(away)
    assert isinstance(error, BoxOutsideError)
    pictures = {box: opened(jpeg) for box, jpeg in drawn.items() if isinstance(jpeg, bytes)}
    sizes = {box: picture.size for box, picture in pictures.items()}
    halves = (40, 30) if exif_policy == "apply" else (20, 60)
    assert sizes == {red: (20, 20), wide: halves, None: (40, 60)}
    assert np.abs(np.asarray(pictures[red]).mean((0, 1)) - (250, 0, 0)).max() < 12
    assert np.abs(np.asarray(pictures[wide]).mean((0, 1))).max() < 12
    for box, jpeg in drawn.items():
        assert draw_boxes(encoded, [box], 96, policy) == {box: jpeg}


def test_reads_images_of_a_run_again(tmp_path: pathlib.Path, mean_color: str) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in "abcd":
        (photos / f"{name}.png").write_bytes(encode(photo(40, 30, seed=ord(name))))
    write_examples(tmp_path / "more.tfrecord", [encode(photo(50, 20))])
    inputs = [str(photos), str(tmp_path / "more.tfrecord")]
    assert run_embed(mean_color, tmp_path / "run", "--input", *inputs) == 0
    (photos / "a.png").unlink()
    (photos / "b.png").write_bytes(encode(photo(20, 60)))
    (photos / "c.png").write_bytes(b"nothing")

    rows = read(tmp_path / "run").select(COLUMNS).sort_by("uri")
    drawn = read_thumbnails(read_record(tmp_path / "run"), rows, 96)
    # The TFRecord's row comes first.
    sizes = [opened(found.jpeg).size if found.jpeg else None for found in drawn]
    assert sizes == [(20, 50), None, (60, 20), None, (30, 40)]
    notes = [found.note for found in drawn]
    assert notes[0] == notes[4] == ""
    assert "no such" in notes[1].lower() or "not" in notes[1]
    assert notes[2] == "changed since the run"
    assert "not an image" in notes[3]
    assert drawn[0].data_uri.startswith("data:image/jpeg;base64,/9j/")
    assert Thumbnail(b"", "gone").data_uri == ""
    assert [found.format for found in drawn] == ["PNG", "", "PNG", "", "PNG"]
    assert read_thumbnails(read_record(tmp_path / "run"), rows.slice(0, 0), 96) == []
    assert isinstance(rows, pa.Table)
