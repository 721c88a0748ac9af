"""The page about a run: what it says, in a real browser, and what it refuses."""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest

from pipelines import classify
from pipelines.report import main
from tests.support.axe import find_problems
from tests.support.browser import open_page
from tests.support.images import encode, photo
from tests.support.models import save_logits, save_mean_color
from tests.support.runs import read, run_embed, run_refresh, solid, write_examples, write_photos

HOSTILE = """<img src=x onerror="document.title='owned'">"""
PHOTOS = 30
COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (250, 250, 10)]
SOME = ["--max_failed_fraction", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Photos in two directories, one with a hostile name, and runs over them."""
    folder = tmp_path_factory.mktemp("report")
    photos = folder / "photos"
    for directory in ("plain", HOSTILE):
        (photos / directory).mkdir(parents=True)
    for number in range(PHOTOS):
        directory = "plain" if number % 2 else HOSTILE
        image = photo(60, 90, seed=number)
        (photos / directory / f"{number:02d} {HOSTILE}.jpg").write_bytes(encode(image, "JPEG"))
    shutil.copy(photos / "plain" / f"03 {HOSTILE}.jpg", photos / "plain" / "copy.jpg")
    (photos / "plain" / f"bad {HOSTILE}.jpg").write_bytes(b"no image")
    (photos / "plain" / "notes.docx").write_bytes(b"no image by its name")
    model = save_mean_color(folder / "model")
    logits = save_logits(folder / "logits", labels=[HOSTILE, "green", "blue" * 100])
    flags = ["--input", str(photos), "--image_id_from", "relative_path", *SOME]
    assert run_embed(model, folder / "vectors", *flags) == 0
    classified = ["--model", logits, "--output", str(folder / "labels"), "--top_k", "3"]
    assert classify.main([*flags, *classified]) == 0
    return folder


def test_a_page_of_vectors(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(path.name for path in (folder / "vectors").iterdir())
    assert main([str(folder / "vectors"), "--output", str(tmp_path / "out.html")]) == 0
    said = capsys.readouterr().out
    assert f"images    {PHOTOS + 1} written, 1 failed, 1 skipped" in said
    assert f"look at   1 of {PHOTOS + 2} images failed" in said
    assert "note      2 images are copies of others, in 1 group" in said
    assert f"page      {tmp_path}/out.html (" in said
    assert sorted(path.name for path in (folder / "vectors").iterdir()) == files
    with open_page(tmp_path / "out.html") as opened:
        page = opened.page
        assert page.title() == f"vectors: {PHOTOS + 1} images"
        assert page.locator(".facts dt", has_text="failed").locator("xpath=..").inner_text() == (
            "failed\n1 (3.1%)"
        )
        verdict = page.locator(".verdict").first
        assert verdict.inner_text() == (
            f"1 of {PHOTOS + 2} images failed · the vectors have collapsed · "
            "one group of near-duplicates holds 97% of the images"
        )
        places = verdict.locator("a").evaluate_all("all => all.map(one => one.hash)")
        assert places == ["#failures", "#health", "#duplicates"]
        headings = page.locator("h2").all_inner_texts()
        assert headings == page.locator("nav li").all_inner_texts()
        assert headings == [
            "Failures", "Vector health", "Duplicates", "Nearest neighbours", "Map", "Inputs",
            "Skipped", "How it was made",
        ]  # fmt: skip
        assert page.locator("h3", has_text="1 decode/UnsupportedFormat").count() == 1
        failure = page.locator(".failures figcaption")
        assert "not an image of a supported" in failure.inner_text()
        copied = page.locator("#duplicates figure", has_text="2 copies")
        assert copied.count() == 1
        copied.locator("summary").click()
        names = copied.locator("details span").all_inner_texts()
        assert names == ["plain/03 " + HOSTILE + ".jpg", "plain/copy.jpg"]
        assert "all JPEG" in page.locator("#inputs").inner_text()
        assert "60 x 90 pixels" in page.locator("#inputs").inner_text()
        assert page.locator("#inputs table").count() == 0
        assert page.locator("figure img").first.evaluate("image => image.naturalWidth") == 90
        assert page.locator("img[src='x']").count() == 0
        assert opened.complaints == []
        assert opened.requests == []


def test_the_command_that_is_shown_tries_failures_again(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    shutil.copytree(folder / "photos", tmp_path / "it's")
    flags = ["--input", str(tmp_path / "it's"), "--image_id_from", "relative_path", *SOME]
    assert run_embed(str(folder / "model"), tmp_path / "run's", *flags) == 0
    (tmp_path / "it's" / "plain" / f"bad {HOSTILE}.jpg").write_bytes(encode(photo(20, 30), "JPEG"))
    assert main([str(tmp_path / "run's"), "--output", str(tmp_path / "out.html")]) == 0
    with open_page(tmp_path / "out.html", scripts=False) as opened:
        command = opened.page.locator(".command").inner_text()
    python, *argv = shlex.split(command)
    assert python == "python"
    subprocess.run([sys.executable, *argv], check=True)
    assert len(read(tmp_path / "run's_retried")) == PHOTOS + 2


def test_what_is_left_of_a_damaged_photo_is_drawn(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    write_photos(tmp_path / "photos", 3)
    whole = encode(photo(200, 300), "JPEG")
    (tmp_path / "photos" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    flags = ["--input", str(tmp_path / "photos"), *SOME]
    assert run_refresh(str(folder / "model"), tmp_path / "root", *flags) == 0
    assert main([str(tmp_path / "root"), "--output", str(tmp_path / "out.html")]) == 0
    with open_page(tmp_path / "out.html") as opened:
        failed = opened.page.locator(".failures figure")
        assert failed.locator("img").evaluate("image => image.naturalWidth") == 256
        assert "cut.jpg" in failed.inner_text()
        assert opened.page.locator(".command").count() == 0
        assert "The next refresh tries them again" in opened.page.locator("#failures").inner_text()


def test_copies_are_one_picture_also_among_neighbours(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        (photos / f"{number}.png").write_bytes(solid(*COLOURS[number]))
    for number in range(5):
        (photos / f"copy {number}.png").write_bytes(solid(*COLOURS[0]))
    assert run_embed(str(folder / "model"), tmp_path / "run", "--input", str(photos)) == 0
    assert main([str(tmp_path / "run"), "--output", str(tmp_path / "out.html")]) == 0
    with open_page(tmp_path / "out.html") as opened:
        rows = opened.page.locator("#neighbours .sheet")
        for row in rows.all():
            assert row.locator("figure").count() == 4
            assert row.locator(".copies").all_inner_texts() == ["6 copies"]
        assert opened.page.locator("#duplicates figure").count() == 1


@pytest.mark.parametrize("run", ["vectors", "labels"])
def test_axe_finds_nothing_serious(folder: pathlib.Path, tmp_path: pathlib.Path, run: str) -> None:
    assert main([str(folder / run), "--output", str(tmp_path / "out.html")]) == 0
    with open_page(tmp_path / "out.html") as opened:
        assert find_problems(opened.page) == []
        opened.page.locator("figure button").first.click()
        assert find_problems(opened.page) == []
    with open_page(tmp_path / "out.html", width=390) as opened:
        assert opened.page.evaluate("document.documentElement.scrollWidth") == 390
        assert find_problems(opened.page) == []


def test_the_map_shows_the_image_that_one_points_at(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert main([str(folder / "vectors"), "--output", str(tmp_path / "out.html")]) == 0
    with open_page(tmp_path / "out.html") as opened:
        page = opened.page
        points = page.locator(".map circle")
        assert points.count() == PHOTOS + 1
        points.first.hover()
        tip = page.locator(".tip")
        assert f"{HOSTILE}.jpg" in tip.inner_text()
        assert tip.locator("img").evaluate("image => image.naturalWidth") in (48, 90)
        points.first.click()
        assert f"{HOSTILE}.jpg" in page.locator("#viewer-name").inner_text()
        page.keyboard.press("Escape")
        page.locator("#filter").fill("copy.jpg")
        assert page.locator(".map circle:not(.dim)").count() == 1
        assert page.title() == f"vectors: {PHOTOS + 1} images"
        assert page.locator("img[src='x']").count() == 0
        assert opened.complaints == []


def test_a_page_of_classes(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder / "labels"), "--output", str(tmp_path / "out.html")]) == 0
    assert "classes are the best of some image" in capsys.readouterr().out
    table = read(folder / "labels")
    best = np.array([scores[0] for scores in table["score"].to_pylist()])
    with open_page(tmp_path / "out.html") as opened:
        page = opened.page
        heading = page.locator("h3", has_text="Least certain")
        sheet = heading.locator("xpath=following::div[1]")
        first = sheet.locator("figure").first
        assert first.locator(".bar:visible").count() == 1
        first.locator("summary").click()
        bars = first.locator(".bar").all_inner_texts()
        lowest = table.slice(int(best.argmin()), 1).to_pylist()[0]
        assert (
            bars[0].strip().startswith(f"{lowest['score'][0]:.3f} {lowest['class_label'][0][:9]}")
        )
        assert len(bars) == 3
        shares = sheet.locator("meter").evaluate_all("all => all.map(one => one.value)")
        np.testing.assert_allclose(shares[:3], lowest["score"], atol=1e-4)
        counts = page.locator("#classes table td.number").all_inner_texts()
        assert sum(map(int, counts)) == len(table)
        assert page.locator("img[src='x']").count() == 0
        assert page.title() == f"labels: {PHOTOS + 1} images"
        assert opened.complaints == []
        assert opened.requests == []


def test_the_same_run_gives_the_same_page(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    pages = []
    for name in ("one.html", "two.html"):
        command = [sys.executable, "-m", "pipelines.report", str(folder / "vectors")]
        subprocess.run([*command, "--output", str(tmp_path / name)], check=True)
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]


def test_images_that_are_gone_are_said_to_be(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(folder / "photos", tmp_path / "photos")
    flags = ["--input", str(tmp_path / "photos"), *SOME]
    assert run_embed(str(folder / "model"), tmp_path / "vectors", *flags) == 0
    (tmp_path / "photos").rename(moved)
    assert main([str(tmp_path / "vectors"), "--output", str(tmp_path / "out.html")]) == 0
    with open_page(tmp_path / "out.html") as opened:
        assert opened.page.locator("figure img").count() == 0
        assert "no such file" in opened.page.locator(".gone:visible").first.inner_text()
        assert opened.complaints == []


def test_a_refresh_root_is_its_newest_run(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 5)
    flags = ["--input", str(tmp_path / "photos")]
    for count in (5, 7):
        write_photos(tmp_path / "photos", count)
        assert run_refresh(str(folder / "model"), tmp_path / "root", *flags) == 0
    capsys.readouterr()
    assert main([str(tmp_path / "root"), "--output", str(tmp_path / "out.html")]) == 0
    assert "7 written, 0 failed, 0 skipped" in capsys.readouterr().out
    with open_page(tmp_path / "out.html") as opened:
        facts = opened.page.locator(".facts").first.inner_text()
        assert "new\n2" in facts
        assert "since\n" in facts


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_images_inside_of_files_are_coloured_by_a_carried_column(
    folder: pathlib.Path, tmp_path: pathlib.Path, output_format: str
) -> None:
    write_examples(tmp_path / "in.tfrecord", [encode(photo(40, 40, n)) for n in range(12)])
    flags = ["--input", str(tmp_path / "in.tfrecord"), "--carry_columns", "label"]
    output = ["--output_format", output_format]
    assert run_embed(str(folder / "model"), tmp_path / "vectors", *flags, *output) == 0
    assert main([str(tmp_path / "vectors"), "--output", str(tmp_path / "out.html")]) == 0
    with open_page(tmp_path / "out.html") as opened:
        assert opened.page.locator("figure .gone").count() == 0
        assert "Colours: the column label" in opened.page.locator("main").inner_text()


def test_a_run_without_rows_has_a_page(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"no image")
    flags = ["--input", str(tmp_path / "photos"), *SOME]
    assert run_embed(str(folder / "model"), tmp_path / "vectors", *flags) == 0
    assert main([str(tmp_path / "vectors"), "--output", str(tmp_path / "out.html")]) == 0
    with open_page(tmp_path / "out.html") as opened:
        assert opened.page.locator("h2").all_inner_texts() == ["Failures", "How it was made"]
        assert opened.complaints == []


def test_vectors_that_are_all_0_have_a_page(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in "ab":
        (tmp_path / "photos" / f"{name}.png").write_bytes(solid(0, 0, 0))
    flags = ["--input", str(tmp_path / "photos")]
    assert run_embed(str(folder / "model"), tmp_path / "vectors", *flags) == 0
    assert main([str(tmp_path / "vectors"), "--output", str(tmp_path / "out.html")]) == 0
    with open_page(tmp_path / "out.html") as opened:
        assert "2 vectors are 0 throughout" in opened.page.locator(".verdict").first.inner_text()
        assert opened.complaints == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images_have_a_page(folder: pathlib.Path, tmp_path: pathlib.Path, count: int) -> None:
    write_photos(tmp_path / "photos", count)
    flags = ["--input", str(tmp_path / "photos")]
    assert run_embed(str(folder / "model"), tmp_path / "vectors", *flags) == 0
    assert main([str(tmp_path / "vectors"), "--output", str(tmp_path / "out.html")]) == 0
    with open_page(tmp_path / "out.html") as opened:
        assert opened.complaints == []


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        ("out.jpg", "wanted a name that ends in .html"),
        ("vectors/out.html", "is in a run"),
        ("file/out.html", "wanted a file in a directory that can be written"),
        ("directory.html", "wanted a file in a directory that can be written"),
    ],
)
def test_a_place_that_a_page_cannot_have(
    folder: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    output: str,
    wanted: str,
) -> None:
    (tmp_path / "vectors").symlink_to(folder / "vectors")
    (tmp_path / "directory.html").mkdir()
    (tmp_path / "file").touch()
    assert main([str(folder / "vectors"), "--output", str(tmp_path / output)]) == 2
    captured = capsys.readouterr()
    assert wanted in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_what_is_no_run_or_damaged_is_said_in_one_line(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = ["--output", str(tmp_path / "out.html")]
    assert main([str(folder / "photos"), *page]) == 2
    assert "holds no complete run" in capsys.readouterr().err
    shutil.copytree(folder / "vectors", tmp_path / "vectors")
    damaged = sorted((tmp_path / "vectors").glob("*.parquet"))[0]
    damaged.write_bytes(damaged.read_bytes()[: os.path.getsize(damaged) // 2])
    assert main([str(tmp_path / "vectors"), *page]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"report: {damaged} cannot be read: ")
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out.html").exists()


def test_counts_that_run_json_has_wrong_are_an_error(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "vectors", tmp_path / "vectors")
    record = json.loads((tmp_path / "vectors" / "_run.json").read_text())
    record["files"][0]["rows"] += 1
    (tmp_path / "vectors" / "_run.json").write_text(json.dumps(record))
    assert main([str(tmp_path / "vectors"), "--output", str(tmp_path / "out.html")]) == 2
    assert f"_run.json says {PHOTOS + 2}" in capsys.readouterr().err
