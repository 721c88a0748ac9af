"""python -m pipelines.diff on real runs: what the terminal says, exit codes, and the page."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest

from pipelines import classify, diff
from tests.support.browser import open_page
from tests.support.runs import latest, read, run_embed, run_refresh, solid, write_photos

HOSTILE = '<img src=x onerror="document.title=1">'
BY_NAME = ["--image_id_from", "relative_path"]


def lines_of(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Returns what was said, by name; lines without one belong to the line before."""
    said: dict[str, str] = {}
    name = ""
    for line in capsys.readouterr().out.splitlines():
        name = line[:10].strip() or name
        said[name] = f"{said[name]}\n{line[10:]}" if name in said else line[10:]
    return said


def count_pictures(page: pathlib.Path) -> int:
    return page.read_text().count('<img src="data:image/jpeg')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, mean_color: str) -> pathlib.Path:
    """Runs of 40 photos before and after some were changed, moved, added, removed and damaged."""
    folder = tmp_path_factory.mktemp("diff")
    photos = folder / "photos"
    write_photos(photos, 40)
    flags = ["--input", str(photos), *BY_NAME]
    assert run_embed(mean_color, folder / "before", *flags) == 0
    assert run_embed(mean_color, folder / "range", *flags, "--input_range", "-1,1") == 0
    (photos / "photo-000.png").unlink()
    (photos / "photo-001.png").write_bytes(solid(200, 10, 10))
    (photos / "photo-002.png").write_bytes(b"damaged")
    (photos / HOSTILE).mkdir()
    (photos / "photo-003.png").rename(photos / HOSTILE / "photo.png")
    (photos / f"{HOSTILE}.png").write_bytes(solid(1, 200, 1))
    assert run_embed(mean_color, folder / "after", *flags) == 0
    return folder


def test_says_what_became_of_every_image(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    runs = [str(folder / "before"), str(folder / "after")]
    page = tmp_path / "new" / "diff.html"
    assert diff.main([*runs, "--output", str(page), "--fail_below", "1", "--k", "4"]) == 0
    said = lines_of(capsys)
    assert said.pop("cosine").startswith("unchanged: 37 vectors, all identical\nchanged: least 0.")
    assert said == {
        "before": f"{runs[0]}, 40 images",
        "after": f"{runs[1]}, 39 images, 1 failed",
        "unchanged": "36",
        "changed": "1",
        "moved": "1",
        "added": "1",
        "removed": "1",
        "failing": "1",
        "overlap": "1.0000 of the 4 nearest neighbours are the same, asked of 37 images",
        "verdict": "1.000000: 99% of 37 images of unchanged content have at least this cosine",
        "page": str(page),
    }
    assert files == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_page_is_static_and_shows_names_as_text(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    page = tmp_path / "diff.html"
    assert diff.main([str(folder / "before"), str(folder / "after"), "--output", str(page)]) == 0
    with open_page(page) as opened:
        assert opened.page.title() == "before and after"
        opened.page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
        text = opened.page.locator("main").inner_text()
        for line in (
            f"photo-003.png → {HOSTILE}/photo.png",
            f"{HOSTILE}.png",
            "photo-000.png",
            "photo-002.png",
            "99% of 37 images of unchanged content",
        ):
            assert line in text
        # The image of changed content; what it was is gone.
        images = opened.page.locator("img")
        assert images.count() == 1
        assert opened.page.evaluate("document.querySelector('img').naturalWidth") == 20
        assert "photo-001.png" in opened.page.locator("figcaption").inner_text()
        assert opened.complaints == []
        assert opened.requests == []
        assert opened.seconds < 10


def test_a_drift_is_below_the_threshold(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "diff.html"
    argv = [str(folder / "before"), str(folder / "range"), "--output", str(page)]
    assert diff.main(argv) == 0
    said = lines_of(capsys)
    assert said["differs"] == 'preprocessing.input_range was "0,1", is "-1,1"'
    assert said["unchanged"] == "40"
    value = said["verdict"].partition(":")[0]
    assert float(value) < 0.9
    page.unlink()
    assert diff.main([*argv, "--fail_below", "0.9"]) == 1
    told = capsys.readouterr().err
    assert told == f"diff: the verdict {value} is below --fail_below 0.9\n"
    assert count_pictures(page) + page.read_text().count('class="gone"') == 24


def test_models_of_other_dimensions_are_compared_by_neighbours(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.support.models import save_logits

    model = save_logits(tmp_path / "model", num_classes=5)
    flags = ["--input", str(folder / "photos"), *BY_NAME]
    assert run_embed(model, tmp_path / "wide", *flags) == 0
    page = tmp_path / "diff.html"
    argv = [str(folder / "after"), str(tmp_path / "wide"), "--output", str(page)]
    capsys.readouterr()
    assert diff.main([*argv, "--fail_below", "0.99"]) == 0
    said = lines_of(capsys)
    assert said["cosine"] == "none: vectors of 3 numbers before, 5 after"
    assert said["overlap"].startswith("1.0000 of the 10 nearest")
    assert said["verdict"].startswith("1.000000: the models differ: the share of the 10 nearest")
    assert count_pictures(page) == 24
    assert "of 3 numbers before and of 5 after have no cosine" in page.read_text()


def test_classes_flip(
    tmp_path: pathlib.Path, logits: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(9):
        (photos / f"{number}.png").write_bytes(solid(200, 20 * number, 100))
    labels = tmp_path / "labels.txt"
    labels.write_text(f"red\x1b[31m\n{HOSTILE}\nblue\n")
    flags = ["--input", str(photos), "--model", logits, "--labels", str(labels), *BY_NAME]
    assert classify.main([*flags, "--output", str(tmp_path / "before"), "--top_k", "2"]) == 0
    for number in (2, 3):
        (photos / f"{number}.png").write_bytes(solid(100, 220, 10))
    assert classify.main([*flags, "--output", str(tmp_path / "after"), "--top_k", "2"]) == 0
    page = tmp_path / "diff.html"
    argv = [str(tmp_path / "before"), str(tmp_path / "after"), "--output", str(page)]
    capsys.readouterr()
    assert diff.main([*argv, "--fail_below", "1"]) == 0
    out = capsys.readouterr().out
    assert f"flips     2 red\\x1b[31m -> {HOSTILE}\n" in out
    assert "\x1b" not in out
    assert "agreement unchanged: 1.0000 of the best classes, 1.0000 of the 2 best; 0 of 7" in out
    assert "changed: 0.0000 of the best classes, 0.5000 of the 2 best; 2 of 2 flipped" in out
    with open_page(page, width=400) as opened:
        cells = opened.page.locator("td").all_inner_texts()
        assert HOSTILE in cells
        assert opened.page.locator("img").count() == 2
        assert f"→ {HOSTILE}" in opened.page.locator("figcaption").first.inner_text()
        opened.page.locator("#filter").fill("red")
        assert opened.page.locator("figure:visible").count() == 2
        opened.page.locator("#filter").fill("blue")
        assert opened.page.locator("figure:visible").count() == 0
        assert opened.page.title() == "before and after"
        assert opened.complaints == []
        assert opened.page.evaluate("document.documentElement.scrollWidth") == 400


def test_what_it_was_is_shown_if_it_can_be_read(tmp_path: pathlib.Path, mean_color: str) -> None:
    for name, green in (("old", 10), ("new", 250)):
        write_photos(tmp_path / name, 5)
        (tmp_path / name / "photo-001.png").write_bytes(solid(90, green, 30))
        flags = ["--input", str(tmp_path / name), *BY_NAME]
        assert run_embed(mean_color, tmp_path / f"run-{name}", *flags) == 0
    page = tmp_path / "diff.html"
    argv = [str(tmp_path / "run-old"), str(tmp_path / "run-new"), "--output", str(page)]
    assert diff.main(argv) == 0
    assert count_pictures(page) == 2
    shutil.rmtree(tmp_path / "old")
    assert diff.main(argv) == 0
    assert count_pictures(page) == 1


def test_a_refresh_root_means_its_newest_run(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 5)
    root = tmp_path / "root"
    flags = ["--input", str(tmp_path / "photos")]
    assert run_refresh(mean_color, root, *flags) == 0
    first = latest(root)
    (tmp_path / "photos" / "photo-100.png").write_bytes(solid(7, 7, 7))
    assert run_refresh(mean_color, root, *flags) == 0
    capsys.readouterr()
    page = tmp_path / "diff.html"
    assert diff.main([str(first), str(root), "--output", str(page)]) == 0
    said = lines_of(capsys)
    assert said["after"] == f"{latest(root)}, 6 images"
    assert (said["unchanged"], said["added"], said["removed"]) == ("5", "1", "0")
    assert read(latest(root)).num_rows == 6


def test_nothing_in_common_has_no_verdict(
    folder: pathlib.Path,
    tmp_path: pathlib.Path,
    mean_color: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "other.png").write_bytes(solid(3, 2, 1))
    flags = ["--input", str(tmp_path / "photos"), *BY_NAME]
    assert run_embed(mean_color, tmp_path / "run", *flags) == 0
    argv = [str(folder / "before"), str(tmp_path / "run"), "--output", str(tmp_path / "d.html")]
    capsys.readouterr()
    assert diff.main(argv) == 0
    assert lines_of(capsys)["verdict"] == "no image of unchanged content is in both runs"
    assert diff.main([*argv, "--fail_below", "0.5"]) == 1
    assert "no verdict, --fail_below is 0.5: no image" in capsys.readouterr().err
    with open_page(tmp_path / "d.html") as opened:
        assert opened.complaints == []

    # Without a single row in one of them.
    (tmp_path / "photos" / "other.png").write_bytes(b"damaged")
    flags += ["--max_failed_fraction", "1"]
    assert run_embed(mean_color, tmp_path / "empty", *flags) == 0
    assert diff.main([str(tmp_path / "run"), str(tmp_path / "empty"), *argv[2:]]) == 0
    said = lines_of(capsys)
    assert (said["failing"], said["unchanged"]) == ("1", "0")


def test_one_image_has_no_neighbours(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 1)
    assert run_embed(mean_color, tmp_path / "run", "--input", str(tmp_path / "photos")) == 0
    argv = [str(tmp_path / "run")] * 2
    assert diff.main([*argv, "--output", str(tmp_path / "d.html"), "--fail_below", "1"]) == 0
    assert lines_of(capsys)["overlap"] == "none: fewer than two images of unchanged content"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "the following arguments are required: RUN_B"),
        (["{before}", "--fail_below", "1.5"], "--fail_below must be over 0 and at most 1, got 1.5"),
        (["{before}", "--fail_below", "nan"], "--fail_below must be over 0 and at most 1, got nan"),
        (["{before}", "--k", "0"], "--k must be at least 1, got 0"),
        (["{before}", "--output", "{before}"], "wanted a name that ends in .html"),
        (
            ["{before}", "--output", "{before}/diff.html"],
            "is in a run, which must stay as it was published",
        ),
        (["{before}/none"], "holds no complete run"),
        (["no://such/place"], "no://such/place cannot be read"),
        (["{labels}"], "vectors and classes cannot be compared"),
    ],
)
def test_what_cannot_work_is_one_line(
    folder: pathlib.Path,
    logits: str,
    flags: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"before": folder / "before", "labels": folder / "labels"}
    if flags == ["{labels}"]:
        photos = ["--input", str(folder / "photos"), "--model", logits]
        assert classify.main([*photos, "--output", str(folder / "labels")]) == 0
    capsys.readouterr()
    argv = [str(folder / "before"), *(flag.format(**places) for flag in flags)]
    assert diff.main(argv) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_a_damaged_file_is_said(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "after", tmp_path / "run")
    entry = json.loads((tmp_path / "run" / "_run.json").read_text())["files"][0]
    (tmp_path / "run" / entry["path"]).write_bytes(b"PAR1")
    argv = [str(folder / "before"), str(tmp_path / "run"), "--output", str(tmp_path / "d.html")]
    assert diff.main(argv) == 2
    assert f"{entry['path']} cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "d.html").exists()


def test_help_imports_nothing_large() -> None:
    code = (
        "import sys, pipelines.diff as diff\n"
        "try: diff.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'apache_beam', 'numpy', 'pyarrow', 'faiss'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--fail_below" in done.stdout


def test_who_stops_reading_gets_no_traceback(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pipelines.diff",
        str(folder / "before"),
        str(folder / "after"),
    ]
    with subprocess.Popen(
        [*command, "--output", str(tmp_path / "d.html")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        done.stdout.close()
        assert done.stderr.read() == ""
    assert done.returncode == 0, "who reads what is printed does not change the verdict"
