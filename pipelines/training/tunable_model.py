"""Whether a model can be fine-tuned, and with which arguments; else the reason why not."""

from collections.abc import Sequence
from typing import NamedTuple

from pipelines.cli.wording import say
from transforms.errors import FlagError, ModelError, brief
from transforms.models.reusable_model import ReusableModel
from transforms.models.spec import EndpointKind, Scalar, Training
from transforms.runs.model_of_run import ModelOfRun, load_model_of_run
from transforms.training.gradients import check_gradients

_TRUTHS = {"true": True, "false": False}
_CURE = "; leave out --fine_tune to train a classifier on its vectors"


class TunableModel(NamedTuple):
    """A model that can be fine-tuned, loaded.

    Attributes:
        body: The model that made the vectors, as it was found.
        network: The model.
        arguments: Arguments that the model is passed in training besides images, by name.
    """

    body: ModelOfRun
    network: ReusableModel
    arguments: dict[str, Scalar]


def load_tunable_model(body: ModelOfRun, model_arguments: Sequence[str]) -> TunableModel:
    """Loads the model for training, before any work is done.

    Args:
        body: The model that made the vectors.
        model_arguments: Arguments, each NAME=VALUE.

    Raises:
        ModelError: If it cannot be fine-tuned; says why.
        FlagError: If it does not take an argument.
    """
    _refuse_untrainable(body)
    arguments = _read_arguments(model_arguments, dict(body.spec.hyperparameters))
    try:
        network = load_model_of_run(body, arguments)
    except (TypeError, ValueError) as error:
        if not arguments:
            raise
        raise FlagError(
            f"the model does not take --model_arguments {' '.join(model_arguments)} in training: "
            f"{brief(error)}"
        ) from error
    try:
        trained = check_gradients(network, body.policy.image_size)
    except ModelError as error:
        raise ModelError(f"{body.handle} cannot be fine-tuned: {error}{_CURE}") from error
    told = f"{trained:,} of its {len(network.variables):,} variables are trained"
    if losses := len(network.regularization_losses):
        told += f", with {losses:,} regularization losses"
    if body.spec.training is Training.ABSENT:
        told += "; it knows no training mode, and answers in training as always"
    say("model", told)
    return TunableModel(body, network, arguments)


def _refuse_untrainable(body: ModelOfRun) -> None:
    spec = body.spec
    if spec.hub_module:
        why = "it is in the format of TF1 Hub, whose graphs are for inference"
    elif spec.kind is EndpointKind.SIGNATURE:
        why = f"it is called by its signature {spec.endpoint}, a graph for inference"
    elif spec.training is not Training.ABSENT and not spec.trains:
        why = "it was not saved for training=True"
    else:
        return
    raise ModelError(f"{body.handle} cannot be fine-tuned: {why}{_CURE}")


def _read_arguments(texts: Sequence[str], known: dict[str, Scalar]) -> dict[str, Scalar]:
    arguments: dict[str, Scalar] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in known:
            listed = ", ".join(f"{key}={default}" for key, default in known.items())
            raise FlagError(
                f"--model_arguments {text}: the model takes {listed or 'no such argument'}"
            )
        if name in arguments:
            raise FlagError(f"--model_arguments gives {name} twice")
        arguments[name] = _read_value(name, value, type(known[name]))
    return arguments


def _read_value(name: str, text: str, kind: type[Scalar]) -> Scalar:
    try:
        return _TRUTHS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise FlagError(f"--model_arguments {name} is {wanted}, got {text!r}") from None
