"""The model that made the vectors of runs, found again and checked."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from transforms.errors import FlagError, ModelError
from transforms.files.file_systems import FileSystems
from transforms.images.policy import INPUT_RANGES, Preprocessing
from transforms.models.contract import inspect_model
from transforms.models.first_layer import check_assumed_range
from transforms.models.handle import fingerprint_model, resolve_model
from transforms.models.loaded_model import NO_ARGUMENTS, load_saved_model
from transforms.models.notes import assume_range
from transforms.models.reusable_model import ReusableModel, load_reusable
from transforms.models.spec import ModelSpec
from transforms.models.uniform_images import look_at_first_layer
from transforms.records import WrittenFile
from transforms.runs.directory import INT8_FILE
from transforms.runs.embedding_runs import EmbeddingRuns
from transforms.runs.record import PublishedRun


class ModelOfRun(NamedTuple):
    """The feature-vector model that made the vectors.

    Attributes:
        handle: Handle of the model, as the run or the user names it.
        model_dir: Local directory of the model.
        fingerprint: sha256 over the model's files, hexadecimal.
        spec: Contract of the model's call.
        policy: Policy by which every image became pixels.
        normalize: "l2" if the vectors were scaled to length 1, else "none".
    """

    handle: str
    model_dir: str
    fingerprint: str
    spec: ModelSpec
    policy: Preprocessing
    normalize: str


def find_model_of_run(runs: EmbeddingRuns, handle: str | None) -> ModelOfRun:
    """Finds the model that made the vectors.

    Args:
        runs: The vectors.
        handle: Handle of the model now, or None for the one that the run had.

    Raises:
        UserError: If it is not there, is another one now, or decoding has changed since.
    """
    record = runs.record
    handle = handle or record["model"]["handle"]
    try:
        model_dir = resolve_model(handle)
    except ModelError as error:
        raise ModelError(f"{error}; name the model of {runs.runs[0].directory} with --model") from (
            error
        )
    fingerprint, wanted = fingerprint_model(model_dir), record["model"]["fingerprint"]
    if fingerprint != wanted:
        raise ModelError(
            f"{handle} has the fingerprint {fingerprint}, the vectors were made by {wanted}; give "
            "that model with --model, or embed again"
        )
    flags = record["config"]
    spec = inspect_model(model_dir, signature=flags["signature"], output_key=flags["output_key"])
    fields = {field.name for field in dataclasses.fields(Preprocessing)}
    noted = {name: value for name, value in record["preprocessing"].items() if name in fields}
    policy = Preprocessing(**{**noted, "image_size": tuple(noted["image_size"])})
    if policy.fingerprint() != record["preprocessing"]["fingerprint"]:
        raise FlagError(
            f"{runs.runs[0].directory} has the preprocessing "
            f"{record['preprocessing']['fingerprint']} (decoder_version "
            f"{record['preprocessing']['decoder_version']}), the same flags now give "
            f"{policy.fingerprint()} (decoder_version {policy.to_dict()['decoder_version']}); "
            "embed again"
        )
    normalize = record["recipe"]["outputs"]["normalize"]
    spec = spec.for_range(policy.input_range)
    return ModelOfRun(handle, model_dir, fingerprint, spec, policy, normalize)


def quantized_of(run: PublishedRun) -> WrittenFile | None:
    """Returns the file of the model in int8 that made a run's vectors; None if it was not int8."""
    quantization = run.record.get("quantization")
    if quantization is None:
        return None
    path = FileSystems.join(run.directory, INT8_FILE)
    return WrittenFile(path, quantization["size_bytes"], quantization["sha256"])


def check_range_of_run(model: ModelOfRun, runs: EmbeddingRuns) -> None:
    """Refuses vectors of pixels in a range that nobody chose and of which the model sees nothing.

    A run whose record says how its range came to be was checked when it was made.

    Raises:
        ModelError: Names the range that is right.
    """
    policy = model.policy
    is_default = policy.input_range == INPUT_RANGES[0] and policy.dtype != "uint8"
    if not is_default or "input_range_is_assumed" in runs.record:
        return
    assumed = assume_range(model.model_dir, policy.input_range)
    if assumed is None:
        return
    loaded = load_saved_model(model.model_dir, model.spec, policy.image_size)
    try:
        check_assumed_range(look_at_first_layer(loaded), assumed)
    except ModelError as error:
        raise ModelError(f"{runs.runs[0].directory}: {error}; embed again") from error


def load_model_of_run(
    model: ModelOfRun, training_arguments: Mapping[str, object] = NO_ARGUMENTS
) -> ReusableModel:
    """Loads the model that made the vectors, for images in [0, 1].

    Args:
        model: The model.
        training_arguments: Arguments that it is passed in training besides images.

    Raises:
        TypeError, ValueError: If it does not take those arguments.
    """
    return load_reusable(
        model.model_dir,
        model.spec,
        image_size=model.policy.image_size,
        input_range=model.policy.input_range,
        training_arguments=training_arguments,
    )


def unit_policy(model: ModelOfRun) -> Preprocessing:
    """Returns what is done to every image for a classifier, which takes float32 in [0, 1]."""
    return dataclasses.replace(model.policy, input_range="0,1", dtype="float32")
