"""Whether the right --input_range is named for models of which it is known.

usage: python -m scripts.benchmarks.doctor DIRECTORY

Prints a row a model: what its first layer sees with each range, and the range that is named. It
must be the right one or none. Directories are of scripts.benchmarks.zoo.
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from scripts.benchmarks.tables import print_head, print_row
from scripts.benchmarks.zoo import ZOO
from transforms.errors import ModelError
from transforms.images.policy import INPUT_RANGES
from transforms.models.first_layer import (
    AssumedRange,
    FirstLayer,
    check_assumed_range,
    describe_view,
)
from transforms.models.inspection import inspect_saved_model
from transforms.models.loaded_model import load_saved_model
from transforms.models.uniform_images import look_at_first_layer

WRONG = "WRONG"
TEST_DATA = "IMAGE_INFERENCE_TEST_DATA"
SQUEEZENETS = ("squeezenet_classification", "squeezenet_feature_vector")


def look(model_dir: str) -> FirstLayer:
    """Returns what a model's first layer sees."""
    spec = inspect_saved_model(model_dir)
    assert spec.image_size
    return look_at_first_layer(load_saved_model(model_dir, spec, spec.image_size))


def judge(layer: FirstLayer, right: str) -> str:
    """Says "right", "none" with its reason, or WRONG; "" as the right one is that of bytes."""
    if not right:
        return "none: bytes have one range" if layer.wanted is None else WRONG
    for assumed in layer.seen:
        try:
            check_assumed_range(layer, AssumedRange(assumed))
        except ModelError:
            if assumed == right:
                return WRONG
    if layer.wanted is not None:
        return "right" if layer.wanted == right else WRONG
    if layer.obstacle:
        return f"none: {layer.obstacle}"
    return "none: pixels as given" if layer.sees_all_as_given else "none: several may be"


def shared_models() -> list[tuple[str, str]]:
    """Returns (name, directory) of the networks with trained weights that are at hand."""
    data = os.environ.get(TEST_DATA)
    if data is None:
        print(f"without the SqueezeNets: {TEST_DATA} names no copy of the test data")
        return []
    return [(name, str(pathlib.Path(data, "models", name))) for name in SQUEEZENETS]


def main(zoo: pathlib.Path) -> None:
    """Prints the table, and how many are right."""
    models = [
        (name, recipe.saved_by, recipe.right, str(zoo / f"{number:02d}"))
        for number, (name, recipe) in enumerate(ZOO.items())
    ]
    models += [(name, "tf.saved_model", "0,1", path) for name, path in shared_models()]
    print_head(("model", "written by", *(f"`{name}`" for name in INPUT_RANGES), "right", "named"))
    verdicts = []
    for name, saved_by, right, model_dir in models:
        layer = look(model_dir)
        verdicts.append(judge(layer, right))
        seen = [
            describe_view(layer.seen[each]) if each in layer.seen else "" for each in INPUT_RANGES
        ]
        named = f"**{layer.wanted}**" if verdicts[-1] == "right" else verdicts[-1]
        print_row((name, saved_by, *seen, right or "bytes", named))
    counts = {word: sum(it.startswith(word) for it in verdicts) for word in ("right", "none")}
    wrong = len(verdicts) - sum(counts.values())
    print(
        f"\n{len(verdicts)} models: {counts['right']} right, {counts['none']} none, {wrong} wrong"
    )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
