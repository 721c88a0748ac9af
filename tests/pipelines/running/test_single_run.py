"""The flags of a run that completes another: those that were given, and else that run's."""

import dataclasses
import pathlib

import pytest

from pipelines.cli.embed_flags import EmbedConfig
from pipelines.cli.parser import parse_flags
from pipelines.running.recorded_flags import recorded_flags
from pipelines.running.single_run import with_flags_of
from transforms.runs.record import PublishedRun

EARLIER = EmbedConfig(
    input=("/photos",),
    model="/model",
    output="/run",
    max_image_pixels=1000,
    normalize="l2",
    allow_private_hosts=True,
    exif="ignore",
)


def completed(*argv: str) -> EmbedConfig:
    run = PublishedRun("/run", {"config": recorded_flags(EARLIER)}, ())
    argv = ("--retry_failed", "/run", "--output", "/new", *argv)
    config, _ = parse_flags(EmbedConfig, argv, program="embed", description="")
    return with_flags_of(dataclasses.replace(config, output="/newer"), run)


def test_flags_that_are_left_out_are_that_runs() -> None:
    theirs = dataclasses.replace(EARLIER, retry_failed="/run", output="/newer")
    assert completed() == theirs
    assert completed("--normalize", "l2") == theirs


@pytest.mark.parametrize("where", ["on the command line", "in a file"])
def test_a_flag_that_is_given_counts_also_with_its_default(
    where: str, tmp_path: pathlib.Path
) -> None:
    argv = ["--max_image_pixels", "120000000", "--normalize", "none", "--no-allow_private_hosts"]
    if where == "in a file":
        path = tmp_path / "flags.yaml"
        path.write_text(
            "max_image_pixels: 120000000\nnormalize: none\nallow_private_hosts: false\n"
        )
        argv = ["--config", str(path)]
    config = completed(*argv)
    assert config.max_image_pixels == EmbedConfig.max_image_pixels == 120_000_000
    assert config.normalize == EmbedConfig.normalize == "none"
    assert not config.allow_private_hosts
    assert config.exif == "ignore"
