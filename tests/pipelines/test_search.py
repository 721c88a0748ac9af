"""From an image, or an image_id, to the nearest images of a run: table, page, index."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from pipelines import index, search
from tests.support.browser import open_page
from tests.support.models import save_logits, save_mean_color
from tests.support.runs import read, run_embed, solid, vectors_of, write_photos

HOSTILE = "<img src=x onerror=document.title='owned'>\x1b[2J\u202e.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with photos, one of them twice and one with a hostile name, a model and a run."""
    folder = tmp_path_factory.mktemp("search")
    save_mean_color(folder / "model")
    write_photos(folder / "photos", 60)
    (folder / "photos" / HOSTILE).write_bytes(solid(20, 140, 235))
    shutil.copyfile(folder / "photos" / "photo-007.png", folder / "photos" / "copy.png")
    embed(folder, "run")
    return folder


def embed(folder: pathlib.Path, name: str, *flags: str) -> None:
    photos = ["--input", str(folder / "photos"), "--image_id_from", "relative_path"]
    assert run_embed(str(folder / "model"), folder / name, *photos, *flags) == 0


def run_search(folder: pathlib.Path, *argv: str, run: str = "run") -> int:
    page = [] if "--output" in argv else ["--output", str(folder / "search.html")]
    return search.main([str(folder / run), *argv, *page])


def ranked(text: str) -> list[tuple[str, float]]:
    """Reads a printed table back."""
    lines = re.findall(r"^ +\d+ +(-?\d\.\d{4})  (.*?)(?:  \(the same file content\))?$", text, re.M)
    return [(image_id, float(cosine)) for cosine, image_id in lines]


def true_neighbours(folder: pathlib.Path, image_id: str) -> dict[str, float]:
    table = read(folder / "run")
    vectors = vectors_of(table).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = table["image_id"].to_pylist()
    return dict(zip(ids, vectors @ vectors[ids.index(image_id)], strict=True))


def test_an_image_of_the_run_by_its_id(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run_search(folder, "--image_id", "photo-007.png", "--top_k", "5") == 0
    text = capsys.readouterr().out
    found = ranked(text)
    true = true_neighbours(folder, "photo-007.png")
    del true["photo-007.png"]
    assert [image_id for image_id, _ in found] == sorted(true, key=true.__getitem__)[:-6:-1]
    for image_id, cosine in found:
        assert cosine == pytest.approx(true[image_id], abs=1e-4)
    assert found[0] == ("copy.png", 1.0)
    assert text.count("(the same file content)") == 1
    assert "copy.png  (the same file content)" in text
    assert "exact; read in" in text


def test_an_image_file_is_embedded_as_the_run_did(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = tmp_path / "stranger.png"
    stranger.write_bytes(solid(30, 210, 225) + b"!")  # Other bytes of the same pixels.
    capsys.readouterr()
    argv = ["--image", str(folder / "photos" / "photo-021.png"), "--image", str(stranger)]
    assert run_search(folder, *argv, "--top_k", "3") == 0
    first, second = capsys.readouterr().out.split("nearest to ")[1:]
    assert ranked(first)[0] == ("photo-021.png", 1.0)
    assert "photo-021.png  (the same file content)" in first
    assert ranked(second)[0] == ("photo-030.png", 1.0)
    assert "same file" not in second


@pytest.mark.parametrize(
    "flags",
    [
        ("--normalize", "l2", "--embedding_dtype", "float16"),
        ("--output_format", "tfrecord"),
        ("--engine", "openvino"),
    ],
)
def test_runs_of_other_makings_are_searched_too(
    folder: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
) -> None:
    argv = ["--input", str(folder / "photos"), "--image_id_from", "relative_path", *flags]
    assert run_embed(str(folder / "model"), tmp_path / "run", *argv) == 0
    capsys.readouterr()
    image = str(folder / "photos" / "photo-021.png")
    assert run_search(tmp_path, "--image", image, "--image_id", "photo-021.png") == 0
    by_file, by_id = capsys.readouterr().out.split("nearest to ")[1:]
    assert ranked(by_file)[0] == ("photo-021.png", 1.0)
    names = [name for name, _ in ranked(by_file)]
    assert set(names[1:]) <= {name for name, _ in ranked(by_id)}


def test_image_ids_need_no_tensorflow(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    program = (
        "import sys; from pipelines import search\n"
        f"code = search.main([{str(folder / 'run')!r}, '--image_id', 'copy.png', "
        f"'--output', {str(tmp_path / 'page.html')!r}])\n"
        "assert 'tensorflow' not in sys.modules; sys.exit(code)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert (tmp_path / "page.html").exists()


def test_the_page_is_static_and_names_are_text(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "found.html"
    argv = ["--image_id", "photo-020.png", "--image_id", HOSTILE, "--top_k", "4"]
    assert run_search(folder, *argv, "--output", str(page)) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<img src=x onerror=document.title='owned'>\\x1b[2J\\u202e.png" in text
    with open_page(page) as opened:
        assert opened.page.title() == "Nearest images in run"
        assert opened.complaints == []
        assert opened.requests == []
        assert opened.seconds < 10
        assert opened.page.locator("h2").count() == 2
        assert opened.page.locator("figure").count() == 2 * (4 + 1)
        assert opened.page.locator("figure img").count() == 2 * (4 + 1)
        first = opened.page.locator("section").first.locator("figure").nth(1)
        assert "1. cosine 1.0000" in first.inner_text()
        assert first.locator(".name").inner_text().startswith("<img src=x")
    before = page.read_bytes()
    assert run_search(folder, *argv, "--output", str(page)) == 0
    strip = re.compile(rb"read in .*? s<|loaded in .*? s<")
    assert strip.sub(b"", page.read_bytes()) == strip.sub(b"", before)


def test_images_that_are_gone_are_said_on_the_page(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    shutil.copytree(folder / "photos", tmp_path / "photos")
    argv = ["--input", str(tmp_path / "photos"), "--image_id_from", "relative_path"]
    assert run_embed(str(folder / "model"), tmp_path / "run", *argv) == 0
    shutil.rmtree(tmp_path / "photos")
    assert run_search(tmp_path, "--image_id", "photo-001.png") == 0
    page = (tmp_path / "search.html").read_text()
    assert page.count('class="gone"') == page.count("<figure ")
    assert page.count("<img src=") == 0


def test_an_index_is_used_where_there_is_one(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "run", tmp_path / "run")
    run = str(tmp_path / "run")
    assert index.main([run]) == 0
    text = capsys.readouterr().out
    assert "recall    1.000 of the 10 nearest" in text
    assert json.loads((tmp_path / "run.index" / "index.json").read_text())["rows"] == 62
    argv = ["--image_id", "photo-033.png"]
    assert run_search(tmp_path, *argv) == 0
    by_index = capsys.readouterr().out
    assert "by index, recall 1.000 of the 10 nearest" in by_index
    assert run_search(tmp_path, *argv, "--exact") == 0
    exactly = capsys.readouterr().out
    assert "search    exact" in exactly
    assert ranked(by_index) == ranked(exactly)
    assert len(ranked(exactly)) == 10
    assert index.main([run]) == 2
    assert "holds an index already; --overwrite replaces it" in capsys.readouterr().err
    assert index.main([run, "--overwrite"]) == 0
    assert index.main([run, "--output", str(tmp_path / "other")]) == 0
    shutil.rmtree(tmp_path / "run.index")
    capsys.readouterr()
    assert run_search(tmp_path, *argv, "--index", str(tmp_path / "other")) == 0
    assert "by index" in capsys.readouterr().out
    assert run_search(tmp_path, *argv, "--index", str(tmp_path / "run.index")) == 2
    assert "holds no index; pipelines.index makes one" in capsys.readouterr().err
    assert index.main([run, "--output", str(tmp_path / "run" / "index")]) == 2
    assert "never changed" in capsys.readouterr().err


def test_the_index_of_another_run_is_said_and_ignored(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    embed(folder, "second", "--overwrite")
    assert index.main([str(folder / "second"), "--output", str(tmp_path / "other")]) == 0
    capsys.readouterr()
    argv = ["--image_id", "photo-033.png", "--index", str(tmp_path / "other")]
    assert run_search(folder, *argv) == 0
    text = capsys.readouterr().out
    assert re.search(r"^ignored +the index .*/other is of another run, ", text, re.M)
    assert "search    exact" in text


def test_the_model_may_have_moved_and_must_be_the_runs(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "model", tmp_path / "model")
    argv = ["--input", str(folder / "photos"), "--image_id_from", "relative_path"]
    assert run_embed(str(tmp_path / "model"), tmp_path / "run", *argv) == 0
    shutil.rmtree(tmp_path / "model")
    image = ["--image", str(folder / "photos" / "photo-021.png")]
    capsys.readouterr()
    assert run_search(tmp_path, *image) == 2
    assert "with --model" in capsys.readouterr().err
    assert run_search(tmp_path, *image, "--model", str(folder / "model")) == 0
    assert ranked(capsys.readouterr().out)[0] == ("photo-021.png", 1.0)
    other = save_logits(tmp_path / "other")
    assert run_search(tmp_path, *image, "--model", other) == 2
    error = capsys.readouterr().err
    assert json.loads((tmp_path / "run/_run.json").read_text())["model"]["fingerprint"] in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "say what to look for: --image FILE or --image_id ID"),
        (["--image_id", "x", "--top_k", "0"], "--top_k must be from 1 to 1,000, got 0"),
        (["--image_id", "photo-7.png"], "no image_id 'photo-7.png'; its ids are such as"),
        (["--image_id", "007.png"], "like it are 'photo-007.png'"),
        (["--image", "{0}/nothing.jpg"], "nothing.jpg: no such file"),
        (["--image", "{0}"], "is a directory"),
        (["--image", "{0}/run/_run.json"], "_run.json: not an image"),
        (["--image", "{0}/broken.png"], "broken.png: "),
        (["--image_id", "copy.png", "--output", "{0}/run/x.html"], "is in a run"),
        (["--image_id", "copy.png", "--output", "{0}"], "wanted a name that ends in .html"),
        (["--image_id", "copy.png", "--model", "m"], "--model does nothing without --image"),
        (["--image_id", "copy.png", "--exact", "--index", "i"], "--exact does not use --index"),
        (["--image_id", "copy.png", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["--image_id", "black.png"], "the vector of black.png is 0 throughout"),
    ],
)
def test_what_cannot_work_is_one_line(
    folder: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    message: str,
) -> None:
    if "black.png" in argv:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "black.png").write_bytes(solid(0, 0, 0))
        save_mean_color(tmp_path / "model")
        embed(tmp_path, "run")
        folder = tmp_path
    if any("broken" in word for word in argv):
        whole = (folder / "photos" / "photo-001.png").read_bytes()
        (folder / "broken.png").write_bytes(whole[: len(whole) // 2])
    capsys.readouterr()
    assert run_search(folder, *(word.format(folder) for word in argv)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("search: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("main", [search.main, index.main])
def test_runs_that_hold_no_vectors_are_refused(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], main: object
) -> None:
    from pipelines import classify

    assert callable(main)
    argv = [] if main is index.main else ["--image_id", "x"]
    assert main([str(tmp_path / "nothing"), *argv]) == 2
    assert "no complete run" in capsys.readouterr().err
    flags = ["--input", str(folder / "photos"), "--output", str(tmp_path / "labels")]
    assert classify.main([*flags, "--model", save_logits(tmp_path / "logits")]) == 0
    capsys.readouterr()
    assert main([str(tmp_path / "labels"), *argv]) == 2
    assert "is a run of pipelines.classify, wanted one of embed" in capsys.readouterr().err
