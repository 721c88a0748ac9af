"""What scripts/benchmark names in words, and no type checker sees; and its table of ratios."""

import datetime
import importlib.util

import pytest

from scripts.benchmarks import registry
from scripts.benchmarks.machine import describe_machine
from scripts.benchmarks.measure import Figures
from scripts.benchmarks.registry import CONTENDERS, DOFN, OURS, find_contender, why_not
from scripts.benchmarks.speed import Results
from scripts.benchmarks.targets import INT8, PAIRS, find_targets, print_targets


def make_figures(whole: float, steady: float, seconds_of_steady: float = 9.0) -> Figures:
    return {
        "images_per_second": whole,
        "steady_images_per_second": steady,
        "seconds_of_steady": seconds_of_steady,
    }


@pytest.mark.parametrize("name", [*CONTENDERS, DOFN])
def test_a_contender_has_its_module(name: str) -> None:
    module = find_contender(name).module
    assert importlib.util.find_spec(f"scripts.benchmarks.contenders.{module}") is not None


def test_contenders_that_are_compared_take_part() -> None:
    assert {name for pair in PAIRS for name in pair} <= CONTENDERS.keys()


def test_ratios_are_a_row_a_comparison_with_what_misses_its_limit_in_bold(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fast = {
        OURS: [make_figures(90.0, 120.0), make_figures(80.0, 110.0)],
        INT8: [make_figures(200.0, 300.0), make_figures(220.0, 280.0)],
        "tf_data": [make_figures(100.0, 100.0), make_figures(100.0, 100.0)],
        "daft": [make_figures(50.0, 60.0, 1.0), make_figures(40.0, 55.0, 1.0)],
    }
    slow = {
        OURS: [make_figures(8.0, 10.0)],
        INT8: [make_figures(30.0, 40.0)],
        "tf_data": [make_figures(10.0, 10.0)],
        "decode_alone": [make_figures(100.0, 100.0)],
        "model_alone_openvino_int8": [make_figures(50.0, 50.0)],
    }
    print_targets(
        [
            *find_targets(Results("mobilenetv2", "small", fast, {})),
            *find_targets(Results("resnet50", "small", slow, {})),
        ]
    )
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert table == [
        "| ratio: steady; whole runs | wanted | mobilenetv2, small photos | resnet50, small photos"
        " |",
        "| --- | --- | --- | --- |",
        f"| {OURS} over tf_data | 1.0 | 1.15 (1.10-1.20); **0.85 (0.80-0.90)**"
        " | 1.00 (1.00-1.00); **0.80 (0.80-0.80)** |",
        f"| {INT8} over tf_data | 2.8 (mobilenetv2), 3.5 (resnet50)"
        " | 2.90 (2.80-3.00); **2.10 (2.00-2.20)** | 4.00 (4.00-4.00); **3.00 (3.00-3.00)** |",
        f"| {OURS} over daft |  | too few photos; 1.90 (1.80-2.00) |  |",
        f"| time of {INT8} over decode + model | at most 1.08 |"
        "  | 0.83 (0.83-0.83); **1.11 (1.11-1.11)** |",
    ]


def test_a_table_is_headed_by_the_day_and_the_machine() -> None:
    day, processor, cores, *sets = describe_machine().split(", ")
    assert datetime.date.fromisoformat(day.removesuffix(" (UTC)")).year > 2025
    assert processor
    assert cores.endswith(" cores")
    assert [it.rpartition(" ")[2] for it in sets] == ["AVX512_VNNI", "AVX512_BF16", "AMX"]


@pytest.mark.parametrize("name", [INT8, "model_alone_openvino_int8"])
def test_who_needs_int8_is_skipped_where_the_processor_or_the_installation_lacks_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CONTENDERS[name].packages == ("openvino", "nncf")
    lacking = CONTENDERS[name]._replace(packages=("no_such_package",))
    assert why_not(lacking) == "no_such_package is not installed (pip install '.[benchmark]')"
    monkeypatch.setattr(registry, "has_vnni", lambda: False)
    installed = CONTENDERS[name]._replace(packages=())
    assert why_not(installed) == "this CPU has no VNNI: int8 would be another model, and slow"
