"""Beam's options, for a run on this machine: Beam asks for the same few of them at every step."""

from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, PipelineOptionsT


class KeptViews(PipelineOptions):
    """Options whose views are made once.

    A view is a parser that is built and run. Beam asks for 700 of them as it builds and translates
    the graph of a run, a quarter of the processor time of a refresh that finds nothing to do. All
    views of the same options share their values, so one of a kind is enough.
    """

    def view_as(self, cls: type[PipelineOptionsT]) -> PipelineOptionsT:
        """Returns the view of this class, made at the first call."""
        views: dict[type, Any] = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        view: PipelineOptionsT = views[cls]
        return view

    def __getstate__(self) -> dict[str, Any]:
        """Returns what is pickled: no views, which would be pickled with views of their own."""
        state = dict(super().__getstate__())
        state.pop("_views", None)
        return state
