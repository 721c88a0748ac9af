"""A directory of photos as they come from phones, cameras and programs becomes rows."""

import pathlib

import numpy as np

from pipelines import verify
from tests.support.images import encode, photo
from tests.support.phone_photos import heic, jxl
from tests.support.profiles import display_p3
from tests.support.runs import read, run_embed, vectors_of

SCENE = photo(60, 90)
FILES = {
    "a.png": encode(SCENE),
    "b.heic": heic(SCENE),
    "c.hif": heic(SCENE),
    "d.jxl": jxl(SCENE),
    "e.ppm": encode(SCENE, "PPM"),
    "f.pnm": encode(SCENE, "PPM"),
    "g.tga": encode(SCENE, "TGA"),
    "h.qoi": encode(SCENE, "QOI"),
}


def test_every_format_is_found_by_its_name_and_gives_the_same_vector(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    (tmp_path / "photos").mkdir()
    for name, content in FILES.items():
        (tmp_path / "photos" / name).write_bytes(content)
    assert run_embed(mean_color, tmp_path / "out", "--input", str(tmp_path / "photos")) == 0
    assert verify.main([str(tmp_path / "out")]) == 0
    table = read(tmp_path / "out")
    names = [pathlib.Path(image_id).name for image_id in table["image_id"].to_pylist()]
    assert names == sorted(FILES)
    vectors = vectors_of(table)
    np.testing.assert_allclose(vectors, np.broadcast_to(vectors[0], vectors.shape), atol=1e-6)


def test_photos_of_other_colours_become_other_vectors(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "p3.png").write_bytes(encode(SCENE, icc_profile=display_p3()))
    (tmp_path / "photos" / "plain.png").write_bytes(encode(SCENE))
    distances = []
    for color_profile in ("ignore", "srgb"):
        out = tmp_path / color_profile
        argv = ["--input", str(tmp_path / "photos"), "--color_profile", color_profile]
        assert run_embed(mean_color, out, *argv) == 0
        p3, plain = vectors_of(read(out))
        distances.append(np.abs(p3 - plain).max())
    assert distances[0] == 0
    assert distances[1] > 0.005
