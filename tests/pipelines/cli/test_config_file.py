"""--config and --print_config: flags in YAML, there and back."""

import argparse
import dataclasses
import pathlib
from typing import Any

import pytest
from apache_beam.options import pipeline_options
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.cli.classify_flags import ClassifyConfig
from pipelines.cli.config_file import HAVE_A_NO_FORM
from pipelines.cli.embed_flags import EmbedConfig
from pipelines.cli.parser import parse_flags
from pipelines.cli.refresh_flags import RefreshConfig
from pipelines.cli.run_flags import RunConfig
from tests.support.runs import read_record, run_embed, write_photos
from transforms.errors import FlagError

NEEDED = "input: photos/\nmodel: m\noutput: out\n"


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "run.yaml"


def parse(
    *argv: str | pathlib.Path, config_class: type[RunConfig] = EmbedConfig
) -> tuple[Any, list[str]]:
    return parse_flags(config_class, list(map(str, argv)), program="embed", description="")


def test_flags_are_read_by_their_names_and_types(
    file: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    file.write_text(
        "input: [photos/, 'more: of them']\nmodel: ~/m\noutput: out\nbatch_size: auto\n"
        "image_size: 224\ninput_range: -1,1\nantialias: false\nresume: true\nnormalize: none\n"
        "max_failed_fraction: 0\nlog_every: 5\nsignature: 'yes'\n"
    )
    config, rest = parse("--config", file)
    assert config == EmbedConfig(
        input=("photos/", "more: of them"),
        model="/home/me/m",
        output="out",
        batch_size="auto",
        image_size=(224, 224),
        input_range="-1,1",
        antialias=False,
        resume=True,
        max_failed_fraction=0.0,
        log_every=5,
        signature="yes",
        config=str(file),
    )
    assert rest == []


def test_the_command_line_wins_over_the_file(file: pathlib.Path) -> None:
    file.write_text(
        f"{NEEDED}batch_size: 8\nresume: true\nallow_truncated_files: true\n"
        "beam: {parallelism: 2, experiments: [a, b], streaming: false, no_x: true}\n"
    )
    argv = ["--input", "mine/", "--batch_size=9", "--no-resume", "--no-allow-truncated-files"]
    config, rest = parse(*argv, "--config", file, "--parallelism=3", "--runner", "FlinkRunner")
    assert (config.input, config.batch_size, config.model) == (("mine/",), 9, "m")
    assert (config.resume, config.allow_truncated_files) == (False, False)
    file_argv = ["--parallelism=2", "--experiments=a", "--experiments=b", "--no_x"]
    assert rest == [*file_argv, "--parallelism=3", "--runner", "FlinkRunner"]


def test_false_takes_back_what_beam_does_by_itself(file: pathlib.Path) -> None:
    parser = pipeline_options._BeamArgumentParser(conflict_handler="resolve")
    for options in vars(pipeline_options).values():
        if isinstance(options, type) and issubclass(options, PipelineOptions):
            options._add_argparse_args(parser)
    off = {a.dest for a in parser._actions if isinstance(a, argparse._StoreFalseAction)}
    assert off == set(HAVE_A_NO_FORM)
    text = "beam: {use_public_ips: false, save_main_session: false, streaming: false}\n"
    file.write_text(NEEDED + text)
    _, rest = parse("--config", file)
    assert rest == ["--no_use_public_ips", "--no_save_main_session"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bach_size: 8", "unknown key 'bach_size'; did you mean batch_size?"),
        ("image-size: 8", "unknown key 'image-size'; did you mean image_size?"),
        ("runner: FlinkRunner", "unknown key 'runner'; Beam's own flags go under beam"),
        ("config: other.yaml", "unknown key 'config'"),
        ("7: 8", "unknown key 7"),
        ("batch_size: many", "batch_size: got 'many', wanted a number or auto"),
        ("batch_size: 8.5", "batch_size: got float 8.5, wanted a number or a text"),
        ("rows_per_file: '8'", "rows_per_file: got '8', wanted a whole number"),
        ("rows_per_file: true", "rows_per_file: got bool True, wanted a whole number"),
        ("max_failed_fraction: x", "max_failed_fraction: got 'x', wanted a number"),
        ("resume: 'true'", "resume: got 'true', wanted true or false"),
        ("signature:", "signature: got nothing, wanted a text"),
        ("signature: yes", "signature: got bool True, wanted a text; put it in quotes"),
        ("output: 2026-11-29", "got date 2026-11-29, wanted a text; put it in quotes"),
        ("model: [a, b]", "model: got a list, wanted a text"),
        ("input: [a, 1]", "input: got int 1, wanted a text, or a list of texts; put it in quotes"),
        ("exif: maybe", "exif: got 'maybe', wanted one of apply | ignore"),
        ("log_every: -1", "log_every: got '-1', wanted a whole number of seconds, from 0"),
        ('model: "\\ud800"', "model: got '\\ud800', which is not UTF-8"),
        ("beam: FlinkRunner", "beam: got 'FlinkRunner', wanted flags as name: value"),
        ("beam: {labels: {a: b}}", "beam: labels: got a mapping, wanted a text, a number"),
        ("exif: apply\nexif: ignore", "line 2, column 1: the key 'exif' comes twice"),
        ("beam: {a: 1, a: 2}", "line 1, column 14: the key 'a' comes twice"),
        ("? [a]\n: b", "is no YAML: line 1, column 3: a key is no text"),
        ("- input", "holds a list, wanted flags as name: value"),
        ("input: [", "is no YAML: line 1, column 9: "),
        ("model: !!python/object:os.system x", "is no YAML: line 1, column 8: could not"),
        ("output: 2026-13-45", "is no YAML: month must be in 1..12"),
        ("a\x00", "is no YAML: "),
    ],
)
def test_what_is_no_flag_is_refused_by_file_and_key(
    file: pathlib.Path, text: str, message: str
) -> None:
    file.write_text(text)
    with pytest.raises(FlagError) as raised:
        parse("--config", file)
    assert str(raised.value).startswith(f"--config {file}")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_or_not_utf_8_is_named(file: pathlib.Path) -> None:
    with pytest.raises(FlagError, match=f"--config {file} cannot be read: No such file"):
        parse("--config", file)
    file.write_bytes(b"model: \xff")
    with pytest.raises(FlagError, match=f"--config {file} is no YAML: 'utf-8' codec can't decode"):
        parse("--config", file)


def test_what_is_missing_is_missed_and_an_empty_file_is_one(file: pathlib.Path) -> None:
    file.write_text("# nothing yet\n")
    with pytest.raises(FlagError, match="nothing to read: give --input or --manifest"):
        parse("--config", file)
    assert parse("--config", file, "--input=a", "--model=m", "--output=o")[0].model == "m"


HOSTILE = [
    "a: b",
    "- c",
    "#d",
    "'e\"",
    "line\nbreak",
    "é\u2028",
    "null",
    "1",
    "",
    " x ",
    "@f",
    "~x",
]


@pytest.mark.parametrize(
    ("config_class", "argv"),
    [
        (EmbedConfig, []),
        (EmbedConfig, ["--output=o", "--image_size=20x30", "--input_range=-1,1", "--no-antialias"]),
        (EmbedConfig, [*(f"--input={name}" for name in HOSTILE), "--carry_columns", "a", "1"]),
        (ClassifyConfig, ["--top_k=3", "--plan", "--json", "--canary_threshold=1e-9"]),
        (RefreshConfig, ["--output_root=r", "--keep=7", "--no-resume", "--log_every=0"]),
        (EmbedConfig, ["--model=m", "--runner", "FlinkRunner", "--a=1", "--a", "x=y", "--b"]),
    ],
)
def test_a_printed_configuration_says_the_same_again(
    config_class: type[RunConfig],
    argv: list[str],
    file: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def printed(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            parse(*words, "--print_config", config_class=config_class)
        assert ended.value.code == 0
        return capsys.readouterr().out

    text = printed(*argv)
    file.write_text(text)
    assert printed("--config", str(file)) == text
    needed = ["--input=i", "--model=m"] if "--input=" not in str(argv) else ["--model=m"]
    needed += ["--output_root=r" if config_class is RefreshConfig else "--output=o"]
    of_argv, beam_argv = parse(*argv, *needed, config_class=config_class)
    again, beam_again = parse("--config", str(file), *needed, config_class=config_class)
    assert again == dataclasses.replace(of_argv, config=str(file))
    assert bool(beam_again) == bool(beam_argv)


def test_defaults_are_comments_of_a_printed_configuration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parse("--input", "photos/", "--print_config", "--direct_num_workers", "4")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "### options"
    at = lines.index("### input")
    assert lines[at : at + 4] == ["### input", "input:", "- photos/", "# input_format: auto"]
    assert "# signature:" in lines
    assert "# batch_size: 32" in lines
    assert lines[-2:] == ["beam:", "  direct_num_workers: '4'"]


def test_a_run_by_a_file_is_recorded_as_its_own(
    file: pathlib.Path, tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 2)
    file.write_text(f"input: {tmp_path}/photos\nbatch_size: 7\nbeam: {{direct_num_workers: 3}}\n")
    assert run_embed(mean_color, tmp_path / "out", "--config", str(file)) == 0
    config = read_record(tmp_path / "out")["config"]
    assert (config["input"], config["batch_size"]) == ([f"{tmp_path}/photos"], 7)
    assert not config.keys() & {"config", "print_config", "json", "log_every", "metrics_file"}
    assert "3 threads" in capsys.readouterr().out
    assert run_embed(mean_color, tmp_path / "out", "--config", str(tmp_path / "none")) == 2
    assert capsys.readouterr().err.startswith(f"embed: --config {tmp_path}/none cannot be read")
