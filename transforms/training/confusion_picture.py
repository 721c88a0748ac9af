"""A confusion matrix as a picture: SVG, which is text, so no library draws it.

Rectangles and words on a grid are all that there is to draw.
"""

from xml.sax.saxutils import escape

import numpy as np

from transforms.errors import printable
from transforms.training.class_metrics import ClassMetrics

MAX_CLASSES = 60
"""Classes that a picture has room for; of more, those are drawn that are mistaken most."""

_CELL = 24
_NARROW_CELL = 14
_WIDE_CLASSES = 25
"""Up to here a cell holds its number."""
_CHAR = 7
_MAX_LABEL_CHARS = 24
_TITLE = 44


def draw_confusion(metrics: ClassMetrics, images: str = "validation images") -> str:
    """Draws which class is taken for which: a row a true class, a column a predicted one.

    The darker a cell, the larger its share of the row; right answers are blue, mistakes red. A
    browser shows the numbers of a cell under the pointer.

    Args:
        metrics: Metrics whose confusion matrix is drawn.
        images: Words for what was counted.

    Returns:
        An SVG document.
    """
    shown = _most_mistaken(metrics)
    cell = _CELL if len(shown) <= _WIDE_CLASSES else _NARROW_CELL
    names = [_shorten(metrics.names[index]) for index in shown]
    margin = 30 + _CHAR * max(map(len, names))
    side = cell * len(shown)
    width, height = margin + side + 20, _TITLE + margin + side + 10
    left, top = margin, _TITLE + margin
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{max(width, 360)}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="20" font-size="14">{_title(metrics, images, len(shown))}</text>',
        '<text x="10" y="38" fill="#666">rows: label, columns: prediction, shade: share of the '
        "row</text>",
    ]
    size = f'font-size="{min(12, cell - 3)}"'
    for place, name in enumerate(names):
        middle = cell * (place + 0.5)
        text = escape(name)
        parts.append(
            f'<text x="{left - 6}" y="{top + middle + 4:g}" text-anchor="end" {size}>{text}</text>'
        )
        parts.append(
            f'<text transform="translate({left + middle + 4:g} {top - 6}) rotate(-90)" {size}>'
            f"{text}</text>"
        )
    for row, label in enumerate(shown):
        for column, prediction in enumerate(shown):
            if count := int(metrics.confusion[label, prediction]):
                parts += _draw_cell(
                    metrics, label, prediction, count, left + cell * column, top + cell * row, cell
                )
    parts.append(
        f'<rect x="{left}" y="{top}" width="{side}" height="{side}" fill="none" stroke="#999"/>'
    )
    return "\n".join([*parts, "</svg>\n"])


def _most_mistaken(metrics: ClassMetrics) -> list[int]:
    """Returns the classes to draw, in order."""
    if len(metrics.names) <= MAX_CLASSES:
        return list(range(len(metrics.names)))
    right = metrics.confusion.diagonal()
    mistakes = metrics.labelled + metrics.predicted - 2 * right
    return sorted(np.argsort(-mistakes, kind="stable")[:MAX_CLASSES].tolist())


def _title(metrics: ClassMetrics, images: str, shown: int) -> str:
    title = f"accuracy {metrics.accuracy:.4f} on {metrics.rows:,} {images}"
    if shown < len(metrics.names):
        title += f"; the {shown} of {len(metrics.names):,} classes mistaken most"
    return title


def _draw_cell(
    metrics: ClassMetrics, label: int, prediction: int, count: int, x: int, y: int, cell: int
) -> list[str]:
    share = count / max(int(metrics.labelled[label]), 1)
    colour = "#1f5fa8" if label == prediction else "#c0392b"
    hint = (
        f"{metrics.names[label]} predicted as {metrics.names[prediction]}: {count:,}, {share:.1%}"
    )
    parts = [
        f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="{colour}" '
        f'fill-opacity="{0.2 + 0.8 * min(share, 1):.2f}"><title>{escape(hint)}</title></rect>'
    ]
    if cell == _CELL:
        text = f"{count}" if count < 10_000 else f"{count // 1000}k"
        ink = "white" if share > 0.45 else "black"
        parts.append(
            f'<text x="{x + cell / 2:g}" y="{y + cell / 2 + 3.5:g}" text-anchor="middle" '
            f'font-size="{10 if len(text) < 4 else 8}" fill="{ink}" pointer-events="none">{text}'
            "</text>"
        )
    return parts


def _shorten(name: str) -> str:
    name = printable(name)
    return name if len(name) <= _MAX_LABEL_CHARS else f"{name[: _MAX_LABEL_CHARS - 1]}…"
