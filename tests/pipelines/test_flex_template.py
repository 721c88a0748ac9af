"""Flex Templates: their metadata is that of the flags, and parameters come back as flags."""

import dataclasses
import json
import re
import runpy
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud.dataflow_v1beta3 import ParameterType, TemplateMetadata

from pipelines.cli.embed_flags import EmbedConfig
from pipelines.cli.forecast_flags import PLAN_FLAGS
from pipelines.cli.launcher_flags import LAUNCHER_FLAGS
from pipelines.cli.parser import parse_flags
from pipelines.flex_template import PROGRAMS, launch, main, template_metadata, to_flags
from tests.support.cloud import Cloud
from tests.support.dataflow import GPU, ROOT, put_inputs, run_job, write_job
from transforms.errors import FlagError

BEAM = {"sdk_container_image", "number_of_worker_harness_threads"}
SAMPLES = (
    "", " ", "x", "-1", "0", "0.0", "0.25", ".5", "1", "1.0", "1.5", "2", "10", "10.5", "32", "1e9",
    "true", "false", "True", "auto", "none", "parquet", "softmax", "float32", "224", "0x0",
    "224x320", "224x", "a=b", "gs://bucket/a", "/a/b", "s3://a b", "0,1", "-1,1",
)  # fmt: skip


def parameters(program: str) -> dict[str, dict[str, Any]]:
    return {found["name"]: found for found in template_metadata(program)["parameters"]}


def accepts(parameter: dict[str, Any], value: str) -> bool:
    return all(re.search(regex, value) for regex in parameter.get("regexes", []))


def required(program: str) -> dict[str, str]:
    """Returns values for what every configuration needs."""
    output = "output_root" if program == "refresh" else "output"
    return {"input": "gs://b/in", "model": "gs://b/model", output: "gs://b/out"}


def is_taken(program: str, name: str, value: str) -> bool:
    """Whether the program takes a parameter's value, on the way of a template's launcher."""
    given = {**required(program), name: value}
    companions = {
        "write_canaries": {"canaries": "gs://b/c"},
        "precision_floor": {"precision": "int8"},
        "box_margin": {"boxes": "x,y,width,height"},
    }
    given |= companions.get(name, {})
    if program == "refresh" and name in ("top_k", "activation", "labels"):
        given |= {"program": "classify"}
    config_class = PROGRAMS[program].config_class
    try:
        argv = to_flags(config_class, [f"--{key}={text}" for key, text in given.items()])
        parse_flags(config_class, list(argv), program="program", description="")
    except (FlagError, SystemExit):
        return False
    return True


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_metadata_is_what_dataflow_documents(program: str) -> None:
    metadata = TemplateMetadata.from_json(
        json.dumps(template_metadata(program)), ignore_unknown_fields=False
    )
    assert program in metadata.name
    assert metadata.description.endswith(".")
    for parameter in metadata.parameters:
        assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]*", parameter.name)
        assert parameter.label
        assert parameter.help_text
        is_enum = parameter.param_type == ParameterType.ENUM
        assert is_enum == bool(parameter.enum_options)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_flag_is_a_parameter_with_its_text_and_group(program: str) -> None:
    fields = {field.name: field for field in dataclasses.fields(PROGRAMS[program].config_class)}
    found = parameters(program)
    assert found.keys() == fields.keys() - PLAN_FLAGS - LAUNCHER_FLAGS | BEAM
    for name in found.keys() - BEAM:
        field = fields[name]
        assert found[name]["helpText"].startswith(field.metadata["help"])
        assert found[name]["groupName"] == field.metadata["group"]
        choices = [option["value"] for option in found[name].get("enumOptions", [])]
        assert choices == list(field.metadata["choices"] or [])


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_required_is_what_no_configuration_does_without(program: str) -> None:
    needed = {name for name, found in parameters(program).items() if not found["isOptional"]}
    # An earlier run (--retry_failed) names its model; every other may come from a manifest.
    assert needed == required(program).keys() - {"input"} - (
        set() if program == "refresh" else {"model"}
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_defaults_are_those_of_the_flags_and_pass(program: str) -> None:
    config_class = PROGRAMS[program].config_class
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    for name, found in parameters(program).items():
        if "defaultValue" not in found:
            assert name in BEAM or fields[name].default in (None, "", ())
            continue
        assert accepts(found, found["defaultValue"])
        assert is_taken(program, name, found["defaultValue"])
        argv = to_flags(config_class, [f"--{name}={found['defaultValue']}"])
        values = parse_flags(
            config_class,
            [*(f"--{key}={text}" for key, text in required(program).items()), *argv],
            program="program",
            description="",
        )[0]
        assert getattr(values, name) == fields[name].default


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_expression_lets_through_what_the_program_refuses(program: str) -> None:
    refused = 0
    for name, found in parameters(program).items():
        if name in BEAM or "regexes" not in found:
            continue
        for value in SAMPLES:
            taken = is_taken(program, name, value)
            assert taken or not accepts(found, value), (name, value)
            refused += not accepts(found, value)
    assert refused > 200, "expressions that refuse nothing"


def test_expressions_refuse_wrong_values_and_take_good_ones() -> None:
    found = parameters("embed")
    for name, good, wrong in (
        ("batch_size", ("auto", "64"), ("0", "many", "1.5")),
        ("image_size", ("224", "224x320"), ("0", "x", "224x", "224 x 320")),
        ("max_failed_fraction", ("0", "0.02", "1"), ("2", "-0.1", "half")),
        ("box_margin", ("0", ".25", "1.5", "9.99", "10", "10.0"), ("10.1", "11", "-0.1", "half")),
        ("output", ("gs://bucket/out",), ("out", "/out", "gs://")),
        ("input", ("gs://a/*.jpg", "gs://a gs://b", "'gs://a b/*.jpg'"), ("photos/", "")),
        ("resize_mode", ("pad",), ("stretch",)),
        ("antialias", ("true", "false"), ("yes", "1")),
        ("inference_hints", ("min_ram=16GB", f"min_ram=16GB accelerator={GPU}"), ("gpu", "a=")),
    ):
        for value in good:
            assert accepts(found[name], value), (name, value)
        for value in wrong:
            assert not accepts(found[name], value), (name, value)


def test_parameters_become_flags() -> None:
    given = [
        "--input=gs://a/x 'gs://b/two words/*.jpg'",
        "--carry_columns=",
        "--model=gs://b/m",
        "--output=gs://b/o",
        "--antialias=true",
        "--deduplicate=FALSE",
        "--resume=",
        "--signature=",
        "--input_range=-1,1",
        f"--inference_hints=min_ram=16GB accelerator={GPU}",
        "--runner=DataflowRunner",
        "--template_location=gs://b/job_object",
        "--enable_something",
    ]
    config, rest = parse_flags(
        EmbedConfig, list(to_flags(EmbedConfig, given)), program="p", description=""
    )
    assert config == EmbedConfig(
        input=("gs://a/x", "gs://b/two words/*.jpg"),
        model="gs://b/m",
        output="gs://b/o",
        antialias=True,
        input_range="-1,1",
        inference_hints=("min_ram=16GB", f"accelerator={GPU}"),
    )
    assert rest == given[-3:]


def test_a_switch_that_a_model_may_set_can_be_off() -> None:
    assert list(to_flags(EmbedConfig, ["--antialias=false"])) == ["--no-antialias"]
    assert list(to_flags(EmbedConfig, ["--antialias="])) == []


@pytest.mark.parametrize("wrong", ["--antialias=yes", "--input=gs://a 'open"])
def test_a_wrong_parameter_is_one_line(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert launch("embed", [wrong]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"embed: {wrong[2:].partition('=')[0]}: got ")
    assert len(error.splitlines()) == 1


def test_beam_knows_the_parameters_that_are_its_own() -> None:
    argv = ["--sdk_container_image=image:1", "--number_of_worker_harness_threads=8"]
    options = PipelineOptions(argv).get_all_options()
    assert options["sdk_container_image"] == "image:1"
    assert options["number_of_worker_harness_threads"] == 8


def test_the_program_prints_the_metadata(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify"]) == 0
    assert json.loads(capsys.readouterr().out) == template_metadata("classify")
    for wrong in ([], ["verify"], ["embed", "classify"]):
        assert main(wrong) == 2
        assert "usage: " in capsys.readouterr().err


def test_a_launched_template_is_a_job_that_publishes(
    cloud: Cloud, mean_color: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_inputs(cloud, mean_color)
    monkeypatch.setenv("IMAGE_INFERENCE_PROGRAM", "embed")

    def launch_as_dataflow(argv: Sequence[str]) -> int:
        given = [text for text in argv if text != f"--input={cloud.uri}/photos"]
        monkeypatch.setattr(sys, "argv", ["flex_template.py", *given])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / "docker" / "flex_template.py"), run_name="__main__")
        return int(ended.value.code or 0)

    two = f"--input={cloud.uri}/photos/00* '{cloud.uri}/photos/01*'"
    hints = "--inference_hints=min_ram=16GB max_active_bundles_per_worker=4"
    job = write_job(
        cloud, "out", two, hints, "--antialias=true", "--resume=false", launch=launch_as_dataflow
    )
    run_job(job)
    record = json.loads(cloud.get("out/_run.json"))
    assert record["counts"]["written"] == 20
    assert record["config"]["antialias"] is True
    assert len(record["config"]["inference_hints"]) == 2
    assert not cloud.names("out/_staging/")
