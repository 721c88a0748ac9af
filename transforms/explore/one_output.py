"""A classifier with one output: it gives the score of its class, and the other gets the rest.

score       dog 0.9       dog 0.2
becomes     dog 0.9       not dog 0.8
            not dog 0.1   dog 0.2
"""

import numpy as np

from transforms.errors import InputError
from transforms.explore.class_answers import ClassAnswers, Scores
from transforms.runs.record import PublishedRun


def has_one_output(run: PublishedRun, classes_a_row: int) -> bool:
    """Tells whether a run's model gives one number.

    Args:
        run: A run of pipelines.classify.
        classes_a_row: Classes in each row; one shows it where the model's width is not declared and
            more were asked for.
    """
    width, asked = run.record["model"]["output_dim"], run.record["recipe"]["outputs"]["top_k"]
    return width == 1 or (width is None and asked > 1 and classes_a_row == 1)


def are_shares(scores: Scores) -> bool:
    """Tells whether all scores are from 0 to 1: the rest is then the other class's."""
    return bool(scores.min() >= 0 and scores.max() <= 1)


def both_classes(answers: ClassAnswers, directory: str, name: str | None = None) -> ClassAnswers:
    """Adds the class that a model with one output leaves out.

    Args:
        answers: Answers of one class an image, the same for all.
        directory: Name of the run for messages.
        name: Name of the other class; None for the first one's with "not" before it.

    Returns:
        Answers of two classes an image, best first. At a half that is the model's own: 0.5 is where
        Keras users put the threshold.

    Raises:
        InputError: If scores are no probabilities.

    Source:
        https://keras.io/api/losses/probabilistic_losses/#binarycrossentropy-class: one output is
        the probability of the class numbered 1, so that of class 0 is the rest.
    """
    scores = answers.scores
    if not are_shares(scores):
        raise InputError(
            f"{directory} has scores from {scores.min():g} to {scores.max():g} of a model with "
            "one output, wanted probabilities; run classify with --activation sigmoid"
        )
    ((number, label),) = answers.labels.items()
    other = 1 - number  # See positive_class.
    both = np.concatenate([scores, 1 - scores], axis=1)
    classes = np.broadcast_to(np.array([number, other], np.int32), both.shape)
    order = np.argsort(-both, axis=1, kind="stable")
    return ClassAnswers(
        np.take_along_axis(classes, order, axis=1),
        np.take_along_axis(both, order, axis=1),
        {number: label, other: name or f"not {label or number}"},
    )
