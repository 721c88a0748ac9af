"""What a run before found out about its model, so that the same model is not inspected again."""

import dataclasses
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from transforms.models.label_files import find_labels
from transforms.models.spec import INSPECTION_VERSION, ModelSpec


def known_spec(
    record: Mapping[str, Any],
    *,
    model_dir: str,
    fingerprint: str,
    signature: str | None,
    output_key: str | None,
) -> ModelSpec | None:
    """Returns how a model is called, as a run's record says; None if it was another, or asked else.

    Args:
        record: The content of that run's _run.json.
        model_dir: The model's local directory now. Labels are looked for there.
        fingerprint: Fingerprint of the model now.
        signature: Signature or attribute to use, or None to choose.
        output_key: Output to use, or None to choose.
    """
    model, flags = dict(record["model"]), record["config"]
    is_same = (
        model.pop("fingerprint") == fingerprint
        and model.get("inspection_version") == INSPECTION_VERSION
        and record["software"]["tensorflow"] == metadata.version("tensorflow")
        and (flags["signature"], flags["output_key"]) == (signature, output_key)
    )
    if not is_same:
        return None
    del model["handle"]
    return dataclasses.replace(ModelSpec.from_json(model), labels=find_labels(model_dir))
