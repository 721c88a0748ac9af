from xml.etree import ElementTree

import numpy as np

from transforms.training.class_metrics import ClassMetrics
from transforms.training.confusion_picture import MAX_CLASSES, draw_confusion

SVG = "{http://www.w3.org/2000/svg}"


def metrics_of(names: tuple[str, ...], confusion: np.ndarray) -> ClassMetrics:
    right = int(confusion.trace())
    rows = int(confusion.sum())
    return ClassMetrics(names, rows, right, confusion, confusion.sum(axis=0), confusion.sum(axis=1))


def test_every_cell_is_in_its_place_with_its_number() -> None:
    names = ("<cat> & dog", "日本", "x" * 40)
    drawn = draw_confusion(metrics_of(names, np.array([[5, 1, 0], [0, 12345, 0], [3, 0, 3]])))
    root = ElementTree.fromstring(drawn)
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert texts[0] == "accuracy 0.9997 on 12,357 validation images"
    assert texts.count("<cat> & dog") == texts.count("日本") == texts.count(f"{'x' * 23}…") == 2
    assert texts[-5:] == ["5", "1", "12k", "3", "3"]
    cells = {
        element.find(f"{SVG}title").text: element  # type: ignore[union-attr]
        for element in root.iter(f"{SVG}rect")
        if element.find(f"{SVG}title") is not None
    }
    mistaken = cells[f"{'x' * 40} predicted as <cat> & dog: 3, 50.0%"]
    right = cells[f"{'x' * 40} predicted as {'x' * 40}: 3, 50.0%"]
    first = cells["<cat> & dog predicted as <cat> & dog: 5, 83.3%"]
    assert len(cells) == 5
    assert mistaken.get("x") == first.get("x") != right.get("x")
    assert mistaken.get("y") == right.get("y") != first.get("y")
    assert mistaken.get("fill") != right.get("fill") == first.get("fill")
    assert mistaken.get("fill-opacity") == right.get("fill-opacity")
    assert all(
        float(cell.get("x", 0)) < float(root.get("width", 0)) - 20 for cell in cells.values()
    )


def test_of_many_classes_the_most_mistaken_are_drawn() -> None:
    count = MAX_CLASSES + 40
    confusion = np.eye(count, dtype=np.int64) * 100
    for index in range(0, count, 2):
        confusion[index, (index + 2) % count] = 7
    drawn = draw_confusion(metrics_of(tuple(f"c{n}" for n in range(count)), confusion))
    root = ElementTree.fromstring(drawn)
    labels = [t.text for t in root.iter(f"{SVG}text") if (t.text or "").startswith("c")]
    evens = {f"c{n}" for n in range(0, count, 2)}
    assert evens <= set(labels)
    assert len(set(labels)) == MAX_CLASSES
    assert f"the {MAX_CLASSES} of {count} classes mistaken most" in drawn
