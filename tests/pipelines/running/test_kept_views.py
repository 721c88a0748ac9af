"""Beam's options, whose views are made once."""

import pickle

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions

from pipelines.running.kept_views import KeptViews

ARGV = ["--direct_num_workers=3", "--direct_num_workers=5", "--unknown=1"]


def test_a_view_is_made_once_and_shares_its_values() -> None:
    options = KeptViews(ARGV)
    direct = options.view_as(DirectOptions)
    assert options.view_as(DirectOptions) is direct
    assert direct.direct_num_workers == 5
    direct.direct_num_workers = 7
    options.view_as(StandardOptions).runner = "DirectRunner"
    # A view of a view is Beam's own.
    for view in (options, options.view_as(StandardOptions)):
        assert view.view_as(DirectOptions).direct_num_workers == 7
        assert view.view_as(StandardOptions).runner == "DirectRunner"


def test_beam_finds_in_it_what_it_finds_in_its_own() -> None:
    kept, own = KeptViews(ARGV), PipelineOptions(ARGV)
    kept.view_as(DirectOptions), own.view_as(DirectOptions)
    assert kept.get_all_options() == own.get_all_options()
    assert kept.display_data() == own.display_data()


def test_it_is_pickled_without_its_views() -> None:
    options = KeptViews(ARGV)
    options.view_as(DirectOptions).direct_num_workers = 7
    again = pickle.loads(pickle.dumps(options))
    assert "_views" not in vars(again)
    assert again.view_as(DirectOptions).direct_num_workers == 7
