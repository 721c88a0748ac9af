"""Figures of a page, drawn by Bokeh: data as JSON, no script but Bokeh's own and its start."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.machine.extras import import_extra

_INK = "#8a8f98"  # Readable on white and on black: a page follows the reader's colour scheme.
_ACCENT = "#4c8fd6"
_BINS = 60
_BLANK = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
_HOVER = (
    '<div style="max-width:220px"><img src="@picture" alt="" style="max-height:96px">'
    '<div style="overflow-wrap:anywhere">@name</div><div style="opacity:.6">@group</div></div>'
)
_EMBED = """\
Bokeh.logger.set_level("warn");
// One after the other, once the page is there: text and images do not wait for figures.
addEventListener("load", () => {
  for (const plot of document.querySelectorAll(".plot"))
    setTimeout(() => Bokeh.embed.embed_item(JSON.parse(plot.dataset.item)));
});"""


class Plot(NamedTuple):
    """A figure, and the place on the page where Bokeh draws it.

    Attributes:
        target: The id of the element that it is drawn in.
        item: JSON for Bokeh, to be put into that element's `data-item`.
    """

    target: str
    item: str


class MapPoint(NamedTuple):
    """What is shown of a point when one points at it.

    Attributes:
        name: Name of the image.
        picture: A `data:` URI, or empty.
        group: Name of the group that its colour stands for, or empty.
    """

    name: str
    picture: str
    group: str


def plot_scripts() -> list[str]:
    """Returns the JavaScript that draws the figures of a page: BokehJS, and its start."""
    resources = import_extra("bokeh.resources").Resources(mode="inline", components=["bokeh"])
    return [resources.js_raw[0], _EMBED]


def plot_histogram(
    target: str, values: npt.NDArray[np.float32], x_label: str, mark: float | None = None
) -> Plot:
    """Draws how often values occur.

    Args:
        target: The element's id.
        values: float32 [count], finite.
        x_label: Name of what they are.
        mark: Value at which an upright line is drawn, or None.
    """
    counts, edges = np.histogram(values.astype(np.float64), bins=_BINS)
    figure = _figure(x_label, "images", [("from", "@left"), ("to", "@right"), ("images", "@top")])
    figure.quad(left=edges[:-1], right=edges[1:], bottom=0, top=counts, color=_ACCENT)
    if mark is not None:
        span = import_extra("bokeh.models").Span
        figure.add_layout(
            span(location=mark, dimension="height", line_color=_INK, line_dash="dashed")
        )
    return _to_plot(target, figure)


def plot_shares(target: str, shares: npt.NDArray[np.float64], x_label: str) -> Plot:
    """Draws shares of a whole, the largest first, on a logarithmic scale; those of 0 are left out.

    Args:
        target: The element's id.
        shares: float64 [count], from 0 to 1, descending.
        x_label: Label of the horizontal axis: what is counted.
    """
    shares = shares[shares > 1e-9]
    figure = _figure(
        x_label,
        "share of the variance",
        [("number", "@x"), ("share", "@y{0.0000%}")],
        y_axis_type="log",
    )
    figure.line(np.arange(1, len(shares) + 1), shares, color=_ACCENT, line_width=2)
    return _to_plot(target, figure)


def plot_map(
    target: str,
    places: npt.NDArray[np.float32],
    points: Sequence[MapPoint],
    groups: Sequence[str],
) -> Plot:
    """Draws points on a plane that show their image when one points at them.

    Args:
        target: The element's id.
        places: float32 [count, 2].
        points: Name, picture and group of each point; text is escaped.
        groups: The groups that have colours, at most 20; empty for one colour.
    """
    models, palettes, transform = map(
        import_extra, ("bokeh.models", "bokeh.palettes", "bokeh.transform")
    )
    source = models.ColumnDataSource(
        {
            "x": places[:, 0],
            "y": places[:, 1],
            "name": [point.name for point in points],
            "picture": [point.picture or _BLANK for point in points],
            "group": [point.group for point in points],
        }
    )
    figure = _figure("", "", _HOVER, height=560, tools="pan,wheel_zoom,box_zoom,reset")
    figure.axis.visible = False
    figure.grid.visible = False
    figure.match_aspect = True
    colour: Any = _ACCENT
    if groups:
        palette = palettes.Category10[10] if len(groups) <= 10 else palettes.Category20[20]
        colour = transform.factor_cmap("group", palette[: len(groups)], list(groups))
    legend = {"legend_group": "group"} if groups else {}
    figure.scatter(
        "x", "y", source=source, size=7, alpha=0.75, color=colour, line_color=None, **legend
    )
    if groups:
        (shown,) = figure.legend
        figure.add_layout(shown, "right")
        shown.update(
            background_fill_color=None, border_line_color=None, label_text_color=_INK, spacing=0
        )
    return _to_plot(target, figure)


def _figure(
    x_label: str,
    y_label: str,
    tooltips: Any,  # noqa: ANN401 - Bokeh's: a template, or pairs
    *,
    height: int = 220,
    tools: str = "",
    y_axis_type: str = "linear",
) -> Any:  # noqa: ANN401 - Bokeh's
    models, plotting = map(import_extra, ("bokeh.models", "bokeh.plotting"))
    figure = plotting.figure(
        height=height,
        sizing_mode="stretch_width",
        tools=tools,
        toolbar_location="above" if tools else None,
        x_axis_label=x_label,
        y_axis_label=y_label,
        y_axis_type=y_axis_type,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        active_drag=None,
    )
    figure.toolbar.logo = None
    figure.add_tools(models.HoverTool(tooltips=tooltips))
    for axis in figure.axis:
        axis.update(
            axis_line_color=_INK,
            major_tick_line_color=_INK,
            minor_tick_line_color=None,
            major_label_text_color=_INK,
            axis_label_text_color=_INK,
            axis_label_text_font_style="normal",
        )
    figure.xgrid.visible = False
    figure.ygrid.grid_line_color = _INK
    figure.ygrid.grid_line_alpha = 0.25
    return figure


def _to_plot(target: str, figure: Any) -> Plot:  # noqa: ANN401 - Bokeh's
    item = import_extra("bokeh.embed").json_item(figure, target)
    return Plot(target, json.dumps(item, separators=(",", ":")))
