"""What evaluate says, as facts with names that stay."""

from typing import Any

from transforms.evaluation.class_accuracy import ClassAccuracy
from transforms.evaluation.comparison import Comparison
from transforms.evaluation.evaluation import Evaluation


def evaluation_facts(found: Evaluation) -> dict[str, Any]:
    """Returns the facts of a run that was judged."""
    facts: dict[str, Any] = {
        "run": found.run.directory,
        "labels": found.truth.origin,
        "labelled_images": len(found.truth),
        "notes": list(found.truth.notes),
        "measures": {measure.name: measure.value for measure in found.measures()},
    }
    if found.vectors is not None:
        facts["images_asked"] = len(found.vectors)
        facts["images_alone"] = found.vectors.alone
    if found.classes is not None:
        facts["classes"] = _class_facts(found.classes)
        facts["confused"] = [
            {
                "label": found.classes.answers.names[it.truth],
                "answer": found.classes.answers.names[it.answer],
                "images": it.images,
            }
            for it in found.classes.confused
        ]
    return facts


def comparison_facts(compared: Comparison) -> dict[str, Any]:
    """Returns the facts of the first run, and under "compare" how the second does beside it."""
    measures = {
        it.first.name: {
            "run": it.first.value,
            "compare": it.second.value,
            **({} if it.test is None else it.test._asdict()),
        }
        for it in compared.measures
    }
    return {
        **evaluation_facts(compared.first),
        "compare": {
            "run": compared.second.run.directory,
            "images": len(compared.places),
            "left_out": compared.left_out,
            "changed": compared.changed,
            "measures": measures,
        },
    }


def _class_facts(classes: ClassAccuracy) -> list[dict[str, Any]]:
    precision, recall, f1 = classes.precision, classes.recall, classes.f1
    return [
        {
            "name": classes.answers.names[place],
            "images": classes.labelled[place],
            "precision": precision[place],
            "recall": recall[place],
            "f1": f1[place],
        }
        for place in classes.shown.tolist()
    ]
