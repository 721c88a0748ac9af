"""The model that a run before inspected."""

import copy
import dataclasses
import json
import pathlib
from typing import Any

import pytest
import tensorflow as tf

from transforms.models.inspection import inspect_saved_model
from transforms.models.spec import ModelSpec
from transforms.runs.known_model import known_spec

FINGERPRINT = "3114a54d"


@pytest.fixture
def spec(logits: str) -> ModelSpec:
    return inspect_saved_model(logits)


@pytest.fixture
def record(spec: ModelSpec) -> dict[str, Any]:
    """What _run.json says of a model, read back."""
    said = {
        "model": {"handle": "m", "fingerprint": FINGERPRINT, **dataclasses.asdict(spec)},
        "software": {"tensorflow": tf.__version__},
        "config": {"signature": None, "output_key": None},
    }
    read: dict[str, Any] = json.loads(json.dumps(said))
    return read


def known(
    record: dict[str, Any],
    model_dir: str,
    fingerprint: str = FINGERPRINT,
    signature: str | None = None,
    output_key: str | None = None,
) -> ModelSpec | None:
    return known_spec(
        record,
        model_dir=model_dir,
        fingerprint=fingerprint,
        signature=signature,
        output_key=output_key,
    )


def test_the_same_model_is_known(record: dict[str, Any], spec: ModelSpec, logits: str) -> None:
    assert known(record, logits) == spec


@pytest.mark.parametrize("every", [{"hyperparameters": (("p", 0.5),)}, {"image_size": None}])
def test_json_gives_every_field_back(spec: ModelSpec, every: dict[str, Any]) -> None:
    changed = dataclasses.replace(spec, image_sizes=((None, 32), (64, None)), **every)
    assert ModelSpec.from_json(json.loads(json.dumps(dataclasses.asdict(changed)))) == changed


@pytest.mark.parametrize(
    "asked", [{"fingerprint": "other"}, {"signature": "serve"}, {"output_key": "features"}]
)
def test_another_model_is_not(record: dict[str, Any], logits: str, asked: dict[str, str]) -> None:
    assert known(record, logits, **asked) is None


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("software", "tensorflow", "2.20.0"),
        ("model", "inspection_version", 0),
        ("config", "signature", "serve"),
    ],
)
def test_what_was_found_out_otherwise_is_not(
    record: dict[str, Any], logits: str, part: str, name: str, value: object
) -> None:
    changed = copy.deepcopy(record)
    changed[part][name] = value
    assert known(changed, logits) is None


def test_a_record_of_an_earlier_program_is_inspected_again(
    record: dict[str, Any], logits: str
) -> None:
    del record["model"]["inspection_version"]
    assert known(record, logits) is None


def test_labels_are_those_beside_the_model_now(
    record: dict[str, Any], tmp_path: pathlib.Path, logits: str
) -> None:
    record["model"]["labels"] = "/gone/labels.txt"
    (tmp_path / "labels.txt").write_text("a")
    found, without = known(record, str(tmp_path)), known(record, logits)
    assert found is not None
    assert found.labels == str(tmp_path / "labels.txt")
    assert without is not None
    assert without.labels is None
