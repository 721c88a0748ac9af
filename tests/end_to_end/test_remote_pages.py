"""Programs that look at runs, where the runs are in an object store."""

import pathlib

import pytest

from pipelines import diff, embed, evaluate, index, report, search
from tests.support.browser import open_page
from tests.support.cloud import Cloud
from tests.support.runs import solid


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_runs_in_an_object_store_are_compared_and_shown(
    cloud: Cloud,
    mean_color: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    output_format: str,
) -> None:
    for n in range(30):
        cloud.put(f"photos/{n:03d}.png", solid(n, 2 * n, 255 - n))
    flags = ["--input", f"{cloud.uri}/photos", "--model", mean_color]
    flags += ["--output_format", output_format, "--max_failed_fraction", "1"]
    before, after = f"{cloud.uri}/before", f"{cloud.uri}/after"
    assert embed.main([*flags, "--output", before]) == 0
    cloud.delete("photos/000.png")
    cloud.put("photos/001.png", solid(250, 0, 0))
    cloud.put("photos/002.png", b"damaged")
    cloud.put("photos/new.png", solid(9, 9, 9))
    assert embed.main([*flags, "--output", after]) == 0
    names = cloud.names()
    capsys.readouterr()

    assert diff.main([before, after, "--output", f"{cloud.uri}/pages/diff.html"]) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    counts = {name: said[name] for name in ("unchanged", "changed", "added", "removed", "failing")}
    assert counts == {
        "unchanged": "27", "changed": "1", "added": "1", "removed": "1", "failing": "1",
    }  # fmt: skip
    assert report.main([after, "--output", f"{cloud.uri}/pages/report.html"]) == 0
    assert sorted(set(cloud.names()) - set(names)) == ["pages/diff.html", "pages/report.html"]
    for name in ("diff.html", "report.html"):
        (tmp_path / name).write_bytes(cloud.get(f"pages/{name}"))
        with open_page(tmp_path / name) as opened:
            assert opened.page.locator("figure img").count() > 0
            assert opened.complaints == opened.requests == []


def test_a_run_and_its_labels_in_an_object_store_are_judged(
    cloud: Cloud, mean_color: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(8):
        cloud.put(f"photos/{n}.png", solid(200 + n, 10, 10) if n < 4 else solid(10, 10, 200 + n))
    flags = ["--input", f"{cloud.uri}/photos", "--model", mean_color]
    run, page = f"{cloud.uri}/run", f"{cloud.uri}/pages/evaluation.html"
    assert embed.main([*flags, "--output", run, "--output_format", "tfrecord"]) == 0
    lines = [f"photos/{n}.png,{'red' if n < 4 else 'blue'}" for n in range(8)]
    cloud.put("truth.csv", "\n".join(["uri,label", *lines]).encode())
    capsys.readouterr()
    labels = ["--labels_csv", f"{cloud.uri}/truth.csv"]
    assert evaluate.main([run, *labels, "--output", page, "--assert_accuracy_at_least", "1"]) == 0
    assert "8 of 8: the nearest image is of the class" in capsys.readouterr().out
    assert b"Some of them" not in cloud.get("pages/evaluation.html")


def test_images_in_a_closed_bucket_are_missing_from_the_page_and_no_more(
    cloud: Cloud, mean_color: str, tmp_path: pathlib.Path
) -> None:
    for n in range(5):
        cloud.put(f"{n:03d}.png", solid(n, 2 * n, 255 - n))
    flags = ["--input", cloud.uri, "--model", mean_color, "--output", str(tmp_path / "run")]
    assert embed.main(flags) == 0
    cloud.close()
    assert report.main([str(tmp_path / "run"), "--output", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    assert "/9j/" not in page  # No JPEG, base64.
    assert "storage.objects.list access to the bucket" in page


def test_a_run_in_an_object_store_is_indexed_and_searched(
    cloud: Cloud, mean_color: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(30):
        cloud.put(f"photos/{n:03d}.png", solid(n, 2 * n, 255 - n))
    run, photo = f"{cloud.uri}/run", f"{cloud.uri}/photos/007.png"
    flags = ["--input", f"{cloud.uri}/photos", "--model", mean_color, "--output", run]
    assert embed.main(flags) == 0
    page = ["--output", str(tmp_path / "found.html")]
    assert search.main([run, "--image_id", photo, *page]) == 0
    exact = capsys.readouterr().out
    assert "exact" in exact
    assert index.main([run]) == 0
    assert [name.split("-")[0] for name in cloud.names("run.index/")] == [
        "run.index/index.json",
        "run.index/vectors",
    ]
    capsys.readouterr()
    assert search.main([run, "--image_id", photo, "--image", photo, *page]) == 0
    said = capsys.readouterr().out
    assert "by index, recall 1.000" in said
    by_file, by_id = said.split("nearest to ")[1:]
    assert f"{photo}  (the same file content)" in by_file
    ranks = by_id.partition("\n\npage")[0].splitlines()[1:]
    assert ranks == exact.split("nearest to ")[1].partition("\n\npage")[0].splitlines()[1:]
