"""python -m pipelines.evaluate on real runs: what the terminal says, exit codes, and the page."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from pipelines import classify, evaluate
from tests.support.browser import open_page
from tests.support.models import save_logits, save_output
from tests.support.runs import read, run_embed, solid

HOSTILE = "<img src=x onerror=alert(1)>"

COLOURS = {
    "red/1.png": (220, 40, 10),
    "red/2.png": (200, 30, 20),
    "red/3.png": (90, 200, 30),
    "green/1.png": (20, 210, 50),
    "green/2.png": (30, 220, 60),
    "green/3.png": (120, 180, 90),
    "blue/1.png": (10, 20, 230),
    "blue/2.png": (20, 10, 210),
}
"""One mistake: a red image is greener than red, and nearest to a green one."""


def lines_of(capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """Returns what was said, by name; lines without one belong to the line before."""
    said: dict[str, list[str]] = {}
    name = ""
    for line in capsys.readouterr().out.splitlines():
        name = line[:10].strip() or name
        said.setdefault(name, []).append(line[10:])
    return said


def write_images(folder: pathlib.Path) -> pathlib.Path:
    for name, colour in COLOURS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(solid(*colour))
    return folder


def run_classify(folder: pathlib.Path, model: str, output: str, *flags: str) -> str:
    argv = ["--input", str(folder / "photos"), "--model", model, "--image_id_from", "relative_path"]
    assert classify.main([*argv, "--output", str(folder / output), *flags]) == 0
    return str(folder / output)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, mean_color: str) -> pathlib.Path:
    """Photos of three colours, and runs of both kinds over them; one photo is damaged."""
    folder = tmp_path_factory.mktemp("evaluate")
    write_images(folder / "photos")
    (folder / "photos" / "red" / "bad.png").write_bytes(b"damaged")
    model = save_logits(folder / "model", labels=("red", "green", "blue"))
    fraction = ("--max_failed_fraction", "0.5")
    run_classify(folder, model, "labels", *fraction)
    flags = ["--input", str(folder / "photos"), "--image_id_from", "relative_path", *fraction]
    assert run_embed(mean_color, folder / "vectors", *flags) == 0
    return folder


def judge(tmp_path: pathlib.Path, run: pathlib.Path | str, *flags: str) -> int:
    return evaluate.main([str(run), *flags, "--output", str(tmp_path / "page.html")])


def test_classes_are_judged_by_the_images_directories(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = folder / "labels"
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert judge(tmp_path, run, "--assert_accuracy_at_least", "0.875") == 0
    said = lines_of(capsys)
    assert said["run"] == [f"{run}, 8 images, 1 failed"]
    assert said["labels"] == ["8 images of 3 classes, by the images' directories"]
    assert said["accuracy"] == ["0.8750 (95 %: 0.529 to 0.978), 7 of 8 right"]
    assert said["top 2"] == ["1.0000 (95 %: 0.676 to 1.000), 8 of 8 among the best 2"]
    # Recall 2/3, 1, 1; F1 4/5, 6/7, 1.
    assert said["balanced"] == ["accuracy 0.8889, F1 0.8857: each class counting alike"]
    scores = np.array([row[0] for row in read(run)["score"].to_pylist()])
    assert said["scores"][0].endswith(f"{scores.mean() - 7 / 8:.4f} too high on average")
    rows = [line.split() for line in said["classes"]]
    assert rows[2:] == [
        ["red", "3", "1.0000", "0.6667", "0.8000", "green", "(1)"],
        ["green", "3", "0.7500", "1.0000", "0.8571"],
        ["blue", "2", "1.0000", "1.0000", "1.0000"],
    ]
    assert said["mistaken"] == ["1 red -> green"]
    assert files == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_vectors_are_judged_by_their_neighbours(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judge(tmp_path, folder / "vectors") == 0
    said = lines_of(capsys)
    accuracy = "0.7500 (95 %: 0.409 to 0.929), 6 of 8: the nearest image is of the class"
    assert said["accuracy"] == [accuracy]
    assert said["vote of 5"] == ["0.2500 (95 %: 0.071 to 0.591), 2 of 8: most of the 5 nearest are"]
    assert said["recall@5"][0].startswith("1.0000")
    assert "recall@10" not in said
    assert said["classes"][0].startswith("silhouette 0.")


def test_less_accurate_than_wanted_exits_with_1_after_the_page(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judge(tmp_path, folder / "labels", "--assert_accuracy_at_least", "0.9") == 1
    told = capsys.readouterr().err
    assert told == "evaluate: the accuracy 0.875000 is below --assert_accuracy_at_least 0.9\n"
    assert (tmp_path / "page.html").exists()


def test_a_file_says_labels_and_what_it_leaves_open(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = tmp_path / "truth.csv"
    lines = ["red/1.png,red", "red/2.png,red", "red/3.png,hen", "green/1.png,green"]
    lines += ["green/2.png,", "red/bad.png,red", "gone.png,blue"]
    truth.write_text("\n".join(["image_id,label", *lines]))
    assert judge(tmp_path, folder / "labels", "--labels_csv", str(truth)) == 0
    said = lines_of(capsys)
    assert said["labels"] == [
        f"4 images of 3 classes, by {truth}",
        "images without a label, not counted: 4: blue/1.png, blue/2.png, green/2.png",
        "labelled images that are not in the run: 2 (1 failed in it): gone.png, red/bad.png",
        "labels that are no class of any answer: 1, their images count as wrong: 1: hen",
    ]
    assert said["accuracy"] == ["0.7500 (95 %: 0.301 to 0.954), 3 of 4 right"]


def test_labels_by_uri_and_by_number(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = folder / "truth.jsonl"
    rows = [{"uri": f"photos/{name}", "label": 1} for name in COLOURS if name.startswith("green")]
    truth.write_text("\n".join(map(json.dumps, rows)))
    assert judge(tmp_path, folder / "labels", "--labels_csv", str(truth)) == 0
    said = lines_of(capsys)
    assert said["accuracy"][0].endswith("3 of 3 right")
    assert "labels are the classes' numbers" in said["labels"]


def test_a_carried_column_says_labels(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = folder / "photos.csv"
    rows = [f"photos/{name},{name.partition('/')[0]}" for name in COLOURS]
    manifest.write_text("\n".join(["uri,colour", *rows]))
    argv = ["--manifest", str(manifest), "--model", str(folder / "model"), "--top_k", "1"]
    out = str(tmp_path / "carried")
    assert classify.main([*argv, "--output", out, "--carry_columns", "colour"]) == 0
    capsys.readouterr()
    assert judge(tmp_path, out, "--label_from", "colour") == 0
    said = lines_of(capsys)
    assert said["labels"] == ["8 images of 3 classes, by the column colour"]
    assert said["accuracy"][0].endswith("7 of 8 right")
    assert not any(name.startswith("top") for name in said)
    assert judge(tmp_path, out, "--label_from", "species") == 2
    assert "has no column species; it has image_id, uri, colour" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["red/1.png,rot"], "no label of {truth} is a class of {run}: got 'rot'; wanted"),
        (["red/1.png,Red"], "'Red' is written 'red' there"),
        (["no.png,red"], "none of its 1 images is in {run}, such as no.png; those are like "),
        (["red/1.png,"], "no image has a label by {truth}; name a file"),
    ],
)
def test_labels_that_cannot_work_exit_with_2(
    folder: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    lines: list[str],
    said: str,
) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text("\n".join(["image_id,label", *lines]))
    run = folder / "labels"
    assert judge(tmp_path, run, "--labels_csv", str(truth)) == 2
    assert said.format(truth=truth, run=run) in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_two_runs_are_compared_on_the_images_that_both_have(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second run is right about the image that the first has wrong, and lacks two."""
    write_images(tmp_path / "photos")
    (tmp_path / "photos" / "blue" / "1.png").unlink()
    (tmp_path / "photos" / "green" / "1.png").write_bytes(solid(1, 2, 3))
    # Of red it sees three times as much.
    model = save_output(
        tmp_path / "model", lambda images: tf.reduce_mean(images, [1, 2]) * [30.0, 10.0, 10.0]
    )
    labels = tmp_path / "labels.txt"
    labels.write_text("red\ngreen\nblue\n")
    other = run_classify(tmp_path, model, "other", "--labels", str(labels), "--top_k", "2")
    capsys.readouterr()
    assert judge(tmp_path, folder / "labels", "--compare", other) == 0
    said = lines_of(capsys)
    assert said["compare"] == [f"{other}, 7 images"]
    assert said["labels"][1:] == [
        "labelled images that are not in the second run, not counted: 1",
        "images of another content there, not counted: 1",
    ]
    rows = [line.split() for line in said["both"]]
    # Of six: the first is wrong about red/3.png, the second about green/3.png.
    assert rows[0] == ["run", "compare", "change", "better", "worse", "p"]
    assert rows[1] == ["accuracy", "0.8333", "0.8333", "+0.0000", "1", "1", "1.0000"]
    assert rows[2][:2] == ["top", "2"]
    assert " ".join(rows[-3]) == "images asked about, of the same content in both: 6"
    with open_page(tmp_path / "page.html") as opened:
        titles = opened.page.locator("h2").all_inner_texts()
        assert titles[1:] == [
            "Right in the second run alone: 1",
            "Right in the first run alone: 1",
        ]
        captions = opened.page.locator("figcaption").all_inner_texts()
        assert ["red/3.png" in captions[0], "green/3.png" in captions[1]] == [True, True]
        assert opened.complaints == []


def test_vectors_of_two_models_are_compared(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_output(
        tmp_path / "model", lambda images: tf.reduce_mean(images, [1, 2])[:, :1] * [1.0, 1.0]
    )
    flags = ["--input", str(folder / "photos"), "--image_id_from", "relative_path"]
    flags += ["--max_failed_fraction", "0.5"]
    assert run_embed(model, tmp_path / "worse", *flags) == 0
    capsys.readouterr()
    assert judge(tmp_path, folder / "vectors", "--compare", str(tmp_path / "worse")) == 0
    rows = {line[:17].strip(): line[17:].split() for line in lines_of(capsys)["both"]}
    assert rows["accuracy"][0] == "0.7500"
    assert float(rows["accuracy"][1]) < 0.75
    assert len(rows["silhouette"]) == 6
    assert judge(tmp_path, folder / "vectors", "--compare", str(folder / "labels")) == 2
    assert "wanted two of one program" in capsys.readouterr().err


def test_a_copy_does_not_find_itself(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = write_images(tmp_path / "photos")
    (photos / "green" / "4.png").write_bytes((photos / "red" / "3.png").read_bytes())
    flags = ["--input", str(photos), "--image_id_from", "relative_path"]
    assert run_embed(mean_color, tmp_path / "run", *flags) == 0
    capsys.readouterr()
    assert judge(tmp_path, tmp_path / "run") == 0
    said = lines_of(capsys)
    assert said["labels"][1:] == [
        "images of the same bytes as another, which would find each other, not counted: 1, under "
        "another label: 1"
    ]
    assert "of 8: the nearest" in said["accuracy"][0]


def test_one_output_is_judged_by_a_threshold_of_a_half(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path / "photos")
    model = save_output(
        tmp_path / "model",
        lambda images: tf.sigmoid(tf.reduce_mean(images, [1, 2])[:, :1] * 10 - 5),
    )
    labels = tmp_path / "labels.txt"
    labels.write_text("other\nred\n")
    run = run_classify(tmp_path, model, "run", "--labels", str(labels))
    truth = tmp_path / "truth.csv"
    kinds = {name: "red" if name.startswith("red") else "other" for name in COLOURS}
    truth.write_text("\n".join(["image_id,label", *(f"{k},{v}" for k, v in kinds.items())]))
    capsys.readouterr()
    assert judge(tmp_path, run, "--labels_csv", str(truth)) == 0
    said = lines_of(capsys)
    assert said["accuracy"][0].endswith("7 of 8 right")
    assert said["mistaken"] == ["1 red -> other"]


def test_the_page_is_static_and_shows_names_as_text(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path / "photos")
    (tmp_path / "photos" / "red").rename(tmp_path / "photos" / HOSTILE)
    model = save_logits(tmp_path / "model", labels=(HOSTILE, "green", "\x1b[2J"))
    run = run_classify(tmp_path, model, "run")
    capsys.readouterr()
    assert judge(tmp_path, run) == 0
    assert "\x1b" not in capsys.readouterr().out
    with open_page(tmp_path / "page.html", width=400) as opened:
        assert opened.page.title() == "run: accuracy 0.6250"
        text = opened.page.locator("main").inner_text()
        assert f"is {HOSTILE}" in text
        assert "taken for green, score 0." in text
        assert "accuracy 0.6250 on 8 images" in (opened.page.locator("svg").text_content() or "")
        images = opened.page.locator("img")
        assert images.count() == 3
        assert opened.complaints == []
        assert opened.requests == []
        assert opened.page.evaluate("document.documentElement.scrollWidth") == 400


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--labels_csv", "a.csv", "--label_from", "b"], "both say the labels; give one"),
        (["--assert_accuracy_at_least", "90"], "must be from 0 to 1, got 90"),
        (["--output", "page.txt"], "wanted a name that ends in .html"),
    ],
)
def test_flags_that_cannot_work_exit_with_2(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    assert evaluate.main([str(folder / "labels"), *flags]) == 2
    assert said in capsys.readouterr().err
