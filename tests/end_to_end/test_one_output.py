"""Binary classifiers: one output, the score of the positive class."""

import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipelines import classify, diff, embed, evaluate, index, inspect_model, report, search
from tests.support.images import encode
from tests.support.models import save_output
from tests.support.runs import read

GRAYS = {"black.png": 0, "mid.png": 110, "white.png": 255}


def logit(images: tf.Tensor) -> tf.Tensor:
    """Of black, mid and white -4, -0.55 and 4: by sigmoid 0.018, 0.366 and 0.982."""
    return tf.reduce_mean(images, [1, 2, 3])[:, None] * 8 - 4


@pytest.fixture
def photos(tmp_path: pathlib.Path) -> str:
    (tmp_path / "photos").mkdir()
    for name, gray in GRAYS.items():
        image = np.full((20, 20, 3), gray, np.uint8)
        (tmp_path / "photos" / name).write_bytes(encode(image, "PNG"))
    return str(tmp_path / "photos")


@pytest.fixture(params=["logit", "probability"])
def model(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    if request.param == "logit":
        return save_output(tmp_path / "model", logit)
    return save_output(tmp_path / "model", lambda images: tf.sigmoid(logit(images)))


def run(tmp_path: pathlib.Path, photos: str, model: str, *flags: str, to: str = "out") -> int:
    argv = ["--input", photos, "--model", model, "--output", str(tmp_path / to), *flags]
    return classify.main(argv)


def by_name(tmp_path: pathlib.Path, column: str) -> list[Any]:
    rows = {
        row["uri"].rpartition("/")[2]: row[column] for row in read(tmp_path / "out").to_pylist()
    }
    return [rows[name] for name in GRAYS]


@pytest.mark.parametrize(
    ("labels", "number", "name"),
    [(None, 1, "positive"), ("dog\n", 0, "dog"), ("cat\ndog\n", 1, "dog")],
)
def test_the_score_is_the_probability_of_the_positive_class(
    tmp_path: pathlib.Path,
    photos: str,
    model: str,
    capsys: pytest.CaptureFixture[str],
    labels: str | None,
    number: int,
    name: str,
) -> None:
    if labels:
        (tmp_path / "model" / "labels.txt").write_text(labels)
    assert run(tmp_path, photos, model) == 0
    scores = 1 / (1 + np.exp(4 - 8 * np.array([[gray / 255] for gray in GRAYS.values()])))
    np.testing.assert_allclose(by_name(tmp_path, "score"), scores, atol=1e-5)
    assert by_name(tmp_path, "class_index") == [[number]] * 3
    assert by_name(tmp_path, "class_label") == [[name]] * 3
    said = capsys.readouterr().out
    assert "the model has one output, a " in said
    assert ("--activation sigmoid" in said) == (" a logit" in said)


def test_softmax_of_one_number_is_refused(
    tmp_path: pathlib.Path, photos: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, photos, model, "--activation", "softmax") == 2
    assert "--activation softmax of one number is 1 for every image" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_sigmoid_of_a_probability_is_done_and_warned_of(
    tmp_path: pathlib.Path, photos: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_output(tmp_path / "model", lambda images: tf.sigmoid(logit(images)))
    assert run(tmp_path, photos, model, "--activation", "sigmoid") == 0
    captured = capsys.readouterr()
    assert "outputs already are probabilities" in captured.out + captured.err


def test_three_labels_fit_no_model_of_one_output(
    tmp_path: pathlib.Path, photos: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model" / "labels.txt").write_text("a\nb\nc\n")
    assert run(tmp_path, photos, model) == 2
    assert "3 labels do not fit a model with 1 outputs" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "flag"), [("logit", "sigmoid"), ("probability", "none")])
def test_inspect_model_says_the_activation_and_puts_classify_first(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], kind: str, flag: str
) -> None:
    function = logit if kind == "logit" else lambda images: tf.sigmoid(logit(images))
    model = save_output(tmp_path / "model", function)
    assert inspect_model.main([model]) == 0
    out = capsys.readouterr().out
    assert f"one {kind}" in out
    first = out[out.index("run it") :].splitlines()[1]
    assert "pipelines.classify" in first
    assert first.endswith(f"--activation {flag}")


def test_a_width_that_is_not_declared_is_found_out(tmp_path: pathlib.Path, photos: str) -> None:
    def undeclared(images: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.py_function(logit, [images], tf.float32), [None, None])

    model = save_output(tmp_path / "model", undeclared)
    assert run(tmp_path, photos, model) == 0
    assert by_name(tmp_path, "score")[0][0] == pytest.approx(0.018, abs=1e-3)


def compare(tmp_path: pathlib.Path, before: str, after: str) -> int:
    runs = [str(tmp_path / name) for name in (before, after)]
    return diff.main([*runs, "--output", str(tmp_path / "diff.html"), "--fail_below", "1"])


def test_diff_tells_the_scores_that_crossed_a_half(
    tmp_path: pathlib.Path, photos: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, photos, model, to="before") == 0
    near = save_output(tmp_path / "near_model", lambda images: logit(images) * 0.9)
    assert run(tmp_path, photos, near, to="near") == 0
    turned = save_output(tmp_path / "turned_model", lambda images: -logit(images))
    assert run(tmp_path, photos, turned, to="turned") == 0
    capsys.readouterr()
    assert compare(tmp_path, "before", "near") == 0
    assert "verdict   1.000000: the share of 3 images" in capsys.readouterr().out
    assert compare(tmp_path, "before", "turned") == 1
    said = capsys.readouterr()
    assert "3 of 3 flipped" in said.out
    assert "flips     2 not positive -> positive\n          1 positive -> not posi" in said.out
    assert said.err == "diff: the verdict 0.000000 is below --fail_below 1\n"


def test_diff_refuses_logits_for_it_knows_no_threshold(
    tmp_path: pathlib.Path, photos: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_output(tmp_path / "model", logit)
    assert run(tmp_path, photos, model, "--activation", "none") == 0
    capsys.readouterr()
    assert compare(tmp_path, "out", "out") == 2
    error = capsys.readouterr().err
    assert "has scores from -4 to 4 of a model with one output, wanted probabilities" in error


@pytest.mark.parametrize(
    ("activation", "note"),
    [("sigmoid", "2 classes are the best of some image"), ("none", "1 classes are the best")],
)
def test_the_page_of_a_run_counts_both_classes_of_probabilities(
    tmp_path: pathlib.Path,
    photos: str,
    capsys: pytest.CaptureFixture[str],
    activation: str,
    note: str,
) -> None:
    model = save_output(tmp_path / "model", logit)
    assert run(tmp_path, photos, model, "--activation", activation) == 0
    capsys.readouterr()
    page = tmp_path / "page.html"
    assert report.main([str(tmp_path / "out"), "--output", str(page)]) == 0
    said = capsys.readouterr().out
    assert note in said
    assert "of the images are of the class" not in said
    titles = ("not positive: 2 images, some at random", "positive: 1 images, some at random")
    assert all((title in page.read_text()) == (activation == "sigmoid") for title in titles)


def test_vectors_of_one_number_are_not_told_apart_by_direction(
    tmp_path: pathlib.Path, photos: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_output(tmp_path / "model", lambda images: logit(images) + 5)
    out, page = str(tmp_path / "out"), ["--output", str(tmp_path / "page.html")]
    flags = ["--input", photos, "--model", model, "--image_id_from", "relative_path"]
    assert embed.main([*flags, "--output", out]) == 0
    truth = tmp_path / "truth.csv"
    truth.write_text("image_id,label\nblack.png,dark\nmid.png,dark\nwhite.png,bright\n")
    capsys.readouterr()
    for main, argv in (
        (search.main, [out, "--image_id", "mid.png", *page]),
        (index.main, [out]),
        (evaluate.main, [out, "--labels_csv", str(truth), *page]),
    ):
        assert main(argv) == 2
        assert "has vectors of one number: by cosine each is like all" in capsys.readouterr().err
    assert report.main([out, *page]) == 0
    assert "note      the vectors are of one number: " in capsys.readouterr().out


def test_a_number_is_not_scaled_to_length_one(
    tmp_path: pathlib.Path, photos: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_output(tmp_path / "model", logit)
    flags = ["--input", photos, "--model", model, "--output", str(tmp_path / "out")]
    assert embed.main([*flags, "--normalize", "l2"]) == 2
    assert "--normalize l2 makes each number 1 or -1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
