"""Reads what --metrics_file writes, by the parsers of Prometheus' own client."""

import pathlib

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_older

PREFIX = "image_inference_"


def read_metrics(path: pathlib.Path) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Returns the values by name, without prefix and "_total", and labels, without the output.

    The older format, which node exporter parses, must say the same.
    """
    text = path.read_text()
    samples = [it for family in text_string_to_metric_families(text) for it in family.samples]
    older = [it for family in parse_older(text) for it in family.samples]
    assert {(it.name, str(it.labels)): it.value for it in samples} == {
        (it.name, str(it.labels)): it.value for it in older
    }
    values = {}
    for sample in samples:
        assert sample.name.startswith(PREFIX)
        assert sample.labels["output"]
        labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "output"))
        name = sample.name.removeprefix(PREFIX).removesuffix("_total")
        assert (name, labels) not in values
        values[name, labels] = sample.value
    return values
