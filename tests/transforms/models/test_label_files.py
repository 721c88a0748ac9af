import json
import pathlib
import shutil
from collections.abc import Callable

import pytest

from transforms.models.class_names import read_labels
from transforms.models.handle import resolve_model
from transforms.models.inspection import inspect_saved_model
from transforms.models.notes import read_notes

LOBE = json.dumps({"doc_id": "1", "classes": {"Label": ["cat", "dog"]}, "inputs": {}})
HUGGING_FACE = json.dumps({"id2label": {"0": "cat", "1": "dog"}, "image_size": 24})

SavedModel = Callable[[str], str]


@pytest.mark.parametrize(
    ("model", "labels", "content"),
    [
        ("m", "m/labels.txt", "cat\ndog\n"),
        ("m", "m/assets/labels.txt", "cat\ndog\n"),
        ("m", "m/signature.json", LOBE),
        ("m", "m/config.json", HUGGING_FACE),
        ("unpacked/model.savedmodel", "unpacked/labels.txt", "0 cat\n1 dog\n"),
        ("m/1", "m/labels.txt", "cat\ndog\n"),
        ("vit/saved_model/1", "vit/config.json", HUGGING_FACE),
    ],
)
@pytest.mark.parametrize("given", ["whole", "model"])
def test_labels_that_came_with_a_model_are_found_however_it_is_given(
    tmp_path: pathlib.Path,
    saved_model: SavedModel,
    model: str,
    labels: str,
    content: str,
    given: str,
) -> None:
    root = tmp_path / "root"
    shutil.copytree(saved_model("mean_color"), root / model)
    (root / labels).parent.mkdir(exist_ok=True)
    (root / labels).write_text(content)
    handle = root / model if given == "model" else root / pathlib.Path(model).parts[0]
    found = inspect_saved_model(resolve_model(str(handle))).labels
    assert found == str(root / labels)
    assert read_labels(found) == ("cat", "dog")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("models/labels.txt", "cat\ndog\n"),  # beside two models: whose are they?
        ("models/one/config.json", '{"image_size": 24}'),
        ("models/one/config.json", "{"),
        ("models/one/signature.json", '["serving_default"]'),
    ],
)
def test_what_is_no_models_labels_is_let_lie(
    tmp_path: pathlib.Path, saved_model: SavedModel, name: str, content: str
) -> None:
    for model in ("one", "two"):
        shutil.copytree(saved_model("mean_color"), tmp_path / "models" / model)
    (tmp_path / name).write_text(content)
    assert inspect_saved_model(str(tmp_path / "models" / "one")).labels is None


def test_a_model_in_a_directory_that_may_not_be_listed_has_nothing_above_it(
    tmp_path: pathlib.Path, saved_model: SavedModel
) -> None:
    shutil.copytree(saved_model("mean_color"), tmp_path / "closed" / "model")
    (tmp_path / "closed" / "labels.txt").write_text("cat\ndog\n")
    (tmp_path / "closed").chmod(0o111)
    try:
        model = resolve_model(str(tmp_path / "closed" / "model"))
        assert inspect_saved_model(model).labels is None
        assert read_notes(model) == {}
    finally:
        (tmp_path / "closed").chmod(0o700)
