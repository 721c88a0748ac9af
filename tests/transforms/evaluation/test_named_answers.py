"""Labels and classes put together: by name, by number, and of a model with one output."""

import numpy as np
import pytest

from transforms.errors import InputError
from transforms.evaluation.named_answers import NamedAnswers, name_answers, with_the_other_class
from transforms.evaluation.truth import Truth
from transforms.explore.class_answers import ClassAnswers

LABELS: dict[int, str | None] = {0: "cat", 2: "dog", 5: "crane", 6: "crane"}


def truth_of(*labels: str) -> Truth:
    names = tuple(sorted(set(labels)))
    codes = np.array([names.index(label) for label in labels], np.int32)
    return Truth("truth.csv", names, np.arange(len(labels)), codes, ())


def answers_of(
    classes: list[list[int]], labels: dict[int, str | None], scores: list[list[float]] | None = None
) -> ClassAnswers:
    best = np.array(classes, np.int32)
    values = np.zeros(best.shape) if scores is None else np.array(scores)
    return ClassAnswers(best, values.astype(np.float32), labels)


def spelled(found: NamedAnswers) -> tuple[list[str], list[list[str]]]:
    """Returns the right class of each image, and its answers."""
    truth = [found.names[code] for code in found.truth]
    return truth, [[found.names[code] for code in row] for row in found.classes]


def test_by_name_and_a_class_that_no_answer_has() -> None:
    answers = answers_of([[0, 2], [2, 0], [0, 2]], LABELS)
    found = name_answers(answers, truth_of("cat", "hen", "dog"), "run")
    assert spelled(found) == (
        ["cat", "hen", "dog"],
        [["cat", "dog"], ["dog", "cat"], ["cat", "dog"]],
    )
    assert found.matched_by == "class_label"
    assert found.unknown == ("hen",)


def test_of_two_classes_with_one_name_either_is_right() -> None:
    found = name_answers(answers_of([[5], [6]], LABELS), truth_of("crane", "crane"), "run")
    assert (found.classes[:, 0] == found.truth).all()
    assert found.ambiguous == ("crane",)


def test_by_number_where_no_label_is_a_name() -> None:
    found = name_answers(answers_of([[0], [6], [5]], LABELS), truth_of("0", "05", "7"), "run")
    truth, best = spelled(found)
    assert truth == ["cat", "crane", "7"]
    assert (found.classes[:, 0] == found.truth).tolist() == [True, False, False]
    assert best == [["cat"], ["crane"], ["crane"]]
    assert found.matched_by == "class_index"
    assert found.unknown == ("7",)
    assert found.ambiguous == ()


def test_numbers_that_are_names_are_names() -> None:
    """Keras numbers folders by letter: class 1 is named 10."""
    found = name_answers(
        answers_of([[1], [2]], {0: "1", 1: "10", 2: "2"}), truth_of("10", "2"), "run"
    )
    assert found.matched_by == "class_label"
    assert (found.classes[:, 0] == found.truth).all()


def test_without_names_only_numbers_are_classes() -> None:
    labels: dict[int, str | None] = {0: None, 3: None}
    found = name_answers(answers_of([[3], [0]], labels), truth_of("3", "3"), "run")
    assert spelled(found) == (["3", "3"], [["3"], ["0"]])
    with pytest.raises(InputError, match="got 'cat'; wanted classes such as '0', '3'"):
        name_answers(answers_of([[3]], labels), truth_of("cat"), "run")


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("Cat", "got 'Cat'; wanted classes such as 'cat', .*'Cat' is written 'cat' there"),
        ("horse", "got 'horse'; wanted classes such as 'cat', .*--labels_csv and --label_from"),
    ],
)
def test_labels_of_which_none_is_a_class_are_refused(label: str, said: str) -> None:
    with pytest.raises(InputError, match=f"no label of truth.csv is a class of run: {said}"):
        name_answers(answers_of([[0]], LABELS), truth_of(label), "run")


@pytest.mark.parametrize(
    ("number", "name", "labels", "classes"),
    [
        (1, "dog", ("dog", "cat", "cat"), ["dog", "cat"]),
        (1, "dog", ("1", "0", "0"), ["1", "0"]),
        (0, "dog", ("dog", "other", "other"), ["dog", "other"]),
        (1, None, ("1", "0", "0"), ["1", "0"]),
        (1, "dog", ("dog", "dog", "dog"), ["dog", "not dog"]),
    ],
)
def test_one_output_is_the_score_of_a_class_and_the_rest_that_of_the_other(
    number: int, name: str | None, labels: tuple[str, ...], classes: list[str]
) -> None:
    one = answers_of([[number]] * 3, {number: name}, [[0.9], [0.2], [0.5]])
    truth = truth_of(*labels)
    found = name_answers(with_the_other_class(one, truth, "run"), truth, "run")
    mine, other = classes
    assert spelled(found) == (list(labels), [[mine, other], [other, mine], [mine, other]])
    np.testing.assert_allclose(found.scores, [[0.9, 0.1], [0.8, 0.2], [0.5, 0.5]], atol=1e-6)


def test_one_output_tells_one_class_from_one_other() -> None:
    one = answers_of([[1]], {1: "dog"}, [[0.9]])
    with pytest.raises(InputError, match=r"tells one class, dog, from all others; .* 2 others"):
        with_the_other_class(one, truth_of("dog", "cat", "hen"), "run")
    with pytest.raises(InputError, match=r"no label of truth\.csv is a class of run: got 'cat'"):
        with_the_other_class(one, truth_of("cat"), "run")
    logit = answers_of([[1]], {1: "dog"}, [[3.5]])
    with pytest.raises(InputError, match="wanted probabilities; run classify with --activation s"):
        with_the_other_class(logit, truth_of("cat", "dog"), "run")
