"""From a trained head to a classifier on disk: written, loaded again, and compared."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.cli.run_flags import NOTED
from transforms.errors import RunError
from transforms.models.class_names import labels_as_text
from transforms.models.image_model import ImageModel
from transforms.models.inspection import inspect_saved_model
from transforms.models.notes import NOTES_FILE, encode_notes
from transforms.models.reusable_model import ReusableModel, save_reusable
from transforms.runs.embedding_runs import EmbeddingRuns
from transforms.runs.model_of_run import ModelOfRun, unit_policy
from transforms.steps.to_embeddings import normalize_l2
from transforms.training.image_classifier import Head, ImageClassifier
from transforms.training.stored_images import read_stored_images

METRICS_FILE = "metrics.json"
PICTURE_FILE = "confusion.svg"
LABELS_FILE = "labels.txt"

_EXACT, _ROUNDED = 1e-4, 5e-2
"""Largest difference of a logit, relative to the largest logit: of float32 vectors by TensorFlow,
and of vectors that were rounded or computed otherwise."""


class Files(NamedTuple):
    """What lies beside the classifier.

    Attributes:
        labels: The class names.
        metrics: Content of metrics.json.
        picture: Content of confusion.svg.
    """

    labels: tuple[str, ...]
    metrics: Mapping[str, Any]
    picture: str


def export_classifier(
    body: ModelOfRun,
    reusable: ReusableModel,
    head: Head,
    files: Files,
    output: str,
    scratch: str,
    compare: Callable[[ImageModel], str],
) -> str:
    """Writes the classifier, whole or not at all.

    Before it gets its name it is loaded again and compared.

    Args:
        body: The model that made the vectors.
        reusable: Reusable form of that model, loaded; perhaps trained further.
        head: Head that was trained.
        files: Contents of the files that lie beside it.
        output: Local directory, absent or empty.
        scratch: A directory for what is needed meanwhile.
        compare: Callback, given the classifier as it was written; raises RunError if it is not what
            was trained, and says on a line what it found.

    Returns:
        What the comparison found.

    Raises:
        UserError: If the output cannot be written.
        RunError: If the classifier is not what was trained.
    """
    labels_path = os.path.join(scratch, LABELS_FILE)
    _write(scratch, LABELS_FILE, labels_as_text(files.labels))
    policy = unit_policy(body)
    size = policy.image_size
    classifier = ImageClassifier(reusable, head, size, labels_path)
    found: list[str] = []

    def finish(directory: str) -> None:
        notes = {name: value for name, value in policy.to_dict().items() if name in NOTED}
        _write(directory, NOTES_FILE, encode_notes({**notes, "activation": head.activation}))
        _write(directory, METRICS_FILE, json.dumps(files.metrics, indent=1) + "\n")
        _write(directory, PICTURE_FILE, files.picture)
        model = ImageModel(directory, inspect_saved_model(directory), image_size=size)
        found.append(compare(model))

    save_reusable(classifier, output, size, signature=classifier.signature, check=finish)
    return found[0]


def compare_with_vectors(
    model: ImageModel, runs: EmbeddingRuns, body: ModelOfRun, head: Head
) -> str:
    """Compares a classifier's logits of a few images with those of their stored vectors.

    Raises:
        RunError: If they are too far apart.
    """
    stored = read_stored_images(runs, unit_policy(body))
    if not len(stored.pixels):
        return "NOT COMPARED: none of the images is there any more as it was embedded"
    vectors = normalize_l2(stored.vectors) if head.normalize == "l2" else stored.vectors
    recipe = runs.record["recipe"]
    is_exact = recipe["outputs"]["embedding_dtype"] == "float32" and (
        recipe["model"]["engine"], recipe["model"]["precision"]
    ) == ("tensorflow", "float32")  # fmt: skip
    return compare_logits(
        model(np.asarray(stored.pixels)),
        vectors @ head.kernel + head.bias,
        "the stored vectors",
        _EXACT if is_exact else _ROUNDED,
    )


def compare_logits(
    found: npt.NDArray[np.float32],
    wanted: npt.NDArray[np.float32],
    origin: str,
    tolerance: float = _EXACT,
) -> str:
    """Compares a written classifier's logits with those wanted; says what it found.

    Args:
        found: float32 [images, classes].
        wanted: float32 [images, classes], what was trained gives.
        origin: Words for what gave the wanted ones, such as "the stored vectors".
        tolerance: Share of the largest logit, or of 1 if that is smaller.

    Raises:
        RunError: If they are too far apart.
    """
    largest = float(np.abs(found - wanted).max())
    limit = tolerance * max(1.0, float(np.abs(wanted).max()))
    text = f"{len(found)} images, logits within {largest:.2g} of those of {origin}"
    if not largest <= limit:
        raise RunError(
            f"the classifier does not give what {origin} do: {text}, wanted {limit:.2g}; nothing "
            "was written"
        )
    return text


def _write(directory: str, name: str, content: str) -> None:
    with open(os.path.join(directory, name), "w", encoding="utf-8", newline="\n") as file:
        file.write(content)
