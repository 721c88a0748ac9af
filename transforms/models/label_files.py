"""Where a model's class names lie: beside saved_model.pb, in its assets, or one level up.

unpacked/labels.txt                        Teachable Machine: "0 Class 1", "1 Class 2"
unpacked/model.savedmodel/saved_model.pb

lobe/signature.json                        {"classes": {"Label": ["Apple", "Orange"]}}
lobe/saved_model.pb

vit/config.json                            {"id2label": {"0": "tench", "1": "goldfish"}}
vit/saved_model/1/saved_model.pb
vit/onnx/model.onnx
"""

import json
import os

from transforms.models.onnx_files import CONFIG_FILE, LABELS_FILE, file_beside, is_onnx
from transforms.models.places import places_above

_MAX_JSON_BYTES = 16 * 2**20


def find_labels(model_dir: str) -> str | None:
    """Returns the path of the labels file that came with a model, or None.

    Args:
        model_dir: A directory that holds saved_model.pb, or an ONNX file.
    """
    if is_onnx(model_dir):
        beside = (file_beside(model_dir, name) for name in (LABELS_FILE, CONFIG_FILE))
        return next((path for path in beside if path and _holds_labels(path)), None)
    places = [
        os.path.join(model_dir, name)
        for name in (
            LABELS_FILE,
            os.path.join("assets", LABELS_FILE),
            "signature.json",
            CONFIG_FILE,
        )
    ]
    for above in places_above(model_dir):
        places += [os.path.join(above, name) for name in (LABELS_FILE, CONFIG_FILE)]
    return next((path for path in places if _holds_labels(path)), None)


def _holds_labels(path: str) -> bool:
    if not os.path.isfile(path):
        return False
    if not path.endswith(".json"):
        return True
    # A config.json or signature.json may be of anything.
    try:
        with open(path, encoding="utf-8") as file:
            return labels_within(json.loads(file.read(_MAX_JSON_BYTES))) is not None
    except (OSError, ValueError, RecursionError):
        return False


def labels_within(value: object) -> object | None:
    """Returns the class names inside Lobe's signature.json, or a config.json, or None.

    That is Hugging Face's, or timm's with its label_names.

    Args:
        value: Content of the file.

    Returns:
        A list, or a dict by number as text.

    Source:
        https://github.com/lobe/lobe-python/blob/master/src/lobe/signature.py and
        https://huggingface.co/docs/transformers/main_classes/configuration.
    """
    if not isinstance(value, dict):
        return None
    classes = value.get("classes")
    labels = classes.get("Label") if isinstance(classes, dict) else value.get("id2label")
    labels = value.get("label_names") if labels is None else labels
    return labels if isinstance(labels, list | dict) else None
