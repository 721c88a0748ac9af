"""Flags: each has an effect, unknown ones are refused, help is quick and short."""

import dataclasses
import importlib
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability.local_job_service import LocalJobServicer

from pipelines.cli import beam_flags
from pipelines.cli.beam_flags import check_beam_flags
from pipelines.cli.classify_flags import ClassifyConfig
from pipelines.cli.embed_flags import EmbedConfig
from pipelines.cli.parser import make_parser, parse_flags
from pipelines.cli.run_flags import RunConfig
from pipelines.command import PROGRAMS
from transforms.errors import FlagError

NEEDED = ["--input", "photos/", "--model", "m", "--output", "out"]


def parse(
    argv: list[str], config_class: type[RunConfig] = EmbedConfig
) -> tuple[RunConfig, list[str]]:
    return parse_flags(config_class, argv, program="embed", description="")


def test_defaults_are_those_of_the_configuration() -> None:
    config, beam_argv = parse(NEEDED)
    assert config == EmbedConfig(input=("photos/",), model="m", output="out")
    assert beam_argv == []


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--input", "b", "c", "--input", "d"], "input", ("photos/", "b", "c", "d")),
        (["--exclude", "@eaDir", "--exclude", "**/*_s.jpg"], "exclude", ("@eaDir", "**/*_s.jpg")),
        (["--follow_links"], "follow_links", True),
        (["--manifest", "x.csv"], "manifest", ("x.csv",)),
        (["--manifest", "x.csv", "--uri_column", "path"], "uri_column", "path"),
        (["--image_key", "jpg"], "image_key", "jpg"),
        (["--image_id_from", "filename"], "image_id_from", "filename"),
        (["--carry_columns", "a", "b"], "carry_columns", ("a", "b")),
        (["--signature", "s"], "signature", "s"),
        (["--output_key", "k"], "output_key", "k"),
        (["--batch_size", "7"], "batch_size", 7),
        (["--batch_size", "auto"], "batch_size", "auto"),
        (["--engine", "openvino"], "engine", "openvino"),
        (["--precision", "auto"], "precision", "auto"),
        (["--num_model_threads", "3"], "num_model_threads", 3),
        (["--image_size", "24"], "image_size", (24, 24)),
        (["--image_size", "24x32"], "image_size", (24, 32)),
        (["--input_range", "-1,1"], "input_range", "-1,1"),
        (["--input_range=-1,1"], "input_range", "-1,1"),
        (["--resize_mode", "pad"], "resize_mode", "pad"),
        (["--crop_fraction", "0.5"], "crop_fraction", 0.5),
        (["--interpolation", "area"], "interpolation", "area"),
        (["--antialias"], "antialias", True),
        (["--exif", "ignore"], "exif", "ignore"),
        (["--decode", "fast"], "decode", "fast"),
        (["--image_statistics"], "image_statistics", True),
        (["--color_profile", "srgb"], "color_profile", "srgb"),
        (["--max_image_pixels", "9"], "max_image_pixels", 9),
        (["--max_image_bytes", "9"], "max_image_bytes", 9),
        (["--overwrite"], "overwrite", True),
        (["--output_format", "tfrecord"], "output_format", "tfrecord"),
        (["--rows_per_file", "9"], "rows_per_file", 9),
        (["--max_failed_fraction", "0"], "max_failed_fraction", 0.0),
        (["--allow_private_hosts"], "allow_private_hosts", True),
        (["--allow_truncated_files"], "allow_truncated_files", True),
        (["--input_format", "tfrecord"], "input_format", "tfrecord"),
        (["--embedding_dtype", "float16"], "embedding_dtype", "float16"),
        (["--normalize", "l2"], "normalize", "l2"),
    ],
)
def test_each_flag_of_embed_is_read(argv: list[str], name: str, value: Any) -> None:  # noqa: ANN401
    assert getattr(parse(NEEDED + argv)[0], name) == value


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--top_k", "3"], "top_k", 3),
        (["--activation", "sigmoid"], "activation", "sigmoid"),
        (["--labels", "l.txt"], "labels", "l.txt"),
    ],
)
def test_each_flag_of_classify_is_read(argv: list[str], name: str, value: Any) -> None:  # noqa: ANN401
    assert getattr(parse(NEEDED + argv, ClassifyConfig)[0], name) == value


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model", "m", "--output", "o"], "nothing to read: give --input or --manifest"),
        (["--input", "i", "--output", "o"], "--model is required"),
        (["--input", "i", "--model", "m"], "--output is required"),
        ([*NEEDED, "--batch_size", "0"], "--batch_size must be at least 1, got 0"),
        ([*NEEDED, "--rows_per_file", "-1"], "--rows_per_file must be at least 1, got -1"),
        ([*NEEDED, "--max_failed_fraction", "1.5"], "must be from 0 to 1, got 1.5"),
        ([*NEEDED, "--uri_column", "path"], "--uri_column is of a --manifest, and none is given"),
        ([*NEEDED, "--carry_columns", "a", "a"], "--carry_columns names one twice: a a"),
        ([*NEEDED, "--carry_columns", "a=b", "a"], "--carry_columns names one twice: a=b a"),
        ([*NEEDED, "--carry_columns", "a=b", "b"], "--carry_columns names one twice: a=b b"),
        ([*NEEDED, "--carry_columns", "a", "A"], "names that differ only in case are one to SQL"),
        ([*NEEDED, "--carry_columns", "a="], "--carry_columns a=: wanted NAME, or NAME=NAME_IN_"),
    ],
)
def test_impossible_values_are_refused(argv: list[str], message: str) -> None:
    with pytest.raises(FlagError, match=message):
        parse(argv)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("~/v [1]", "/home/me/v [1]"),
        ("~", "/home/me"),
        ("a/~/v", "a/~/v"),
        ("file:///a%20b", "/a b"),
        ("file:/a", "/a"),
        ("gs://b/~%20", "gs://b/~%20"),
    ],
)
def test_every_location_goes_home_and_is_the_path_of_its_uri(
    monkeypatch: pytest.MonkeyPatch, text: str, path: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    names = ("input", "manifest", "model", "output", "canaries", "retry_failed", "labels")
    flags = {field.name: field for field in dataclasses.fields(ClassifyConfig)}
    assert {name: flags[name].metadata["read"](text) for name in names} == dict.fromkeys(
        names, path
    )
    assert flags["image_key"].metadata["read"](text) == text
    config, _ = parse(["--input=photos", "--model=m", "--output=~/x"])
    assert vars(config)["output"] == "/home/me/x"


@pytest.mark.parametrize(
    "argv", [["--image_size", "big"], ["--batch_size", "x"], ["--exif", "maybe"], ["--top_k", "3x"]]
)
def test_values_that_do_not_parse_exit_with_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        parse(NEEDED + argv, ClassifyConfig)
    assert exit_info.value.code == 2


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--inptu", "photos/"], r"--inptu; did you mean --input\?"),
        (["--modle=m"], r"--modle; did you mean --model\?"),
        (["photos/", "--model", "m"], r"argument photos/; did you mean --input photos/\?"),
        (["photos", "--model", "m"], "argument photos; see --help"),
        (["-input", "photos/"], r"argument -input; did you mean --input\?"),
        (["--top_k", "3"], "--top_k is no flag of this program, but of classify and refresh"),
        (["--output_root=r"], "--output_root is no flag of this program, but of refresh"),
    ],
)
def test_a_misspelt_flag_is_named_before_what_is_missing(argv: list[str], message: str) -> None:
    with pytest.raises(FlagError, match=message):
        parse(argv)


def test_beams_flags_and_a_runners_are_not_taken_for_ours() -> None:
    for beam_argv in (
        ["--num_workers=3", "--labels=a=b"],
        ["--runner=FlinkRunner", "--inputs=3"],
    ):
        assert parse(NEEDED + beam_argv)[1] == beam_argv


def test_names_in_kebab_case_are_those_in_snake_case(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "my.flags"
    file.write_text("--max-image-pixels=7\n")
    config, rest = parse(
        [*NEEDED, "--image-size", "224", "--no-antialias", f"@{file}", "--temp-x=1"]
    )
    assert (config.image_size, config.antialias, config.max_image_pixels) == ((224, 224), False, 7)
    assert rest == ["--temp-x=1"]


def test_an_at_sign_that_begins_no_file_of_flags_is_explained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parse(["--input", "@photos"])
    assert capsys.readouterr().err == (
        "embed: @photos is no file of flags: no such file or directory; of a path that begins with "
        "@ write ./@photos\n"
    )


def test_flags_are_read_from_a_file(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "nightly.flags"
    file.write_text("# nightly\n--input 'my photos/' --model m  # two on a line\n\n--output out\n")
    config, _ = parse([f"@{file}", "--batch_size", "8"])
    assert (config.input, config.model, config.batch_size) == (("my photos/",), "m", 8)


@pytest.mark.parametrize("content", [b"--output 'my", b"--output \xff"])
def test_a_file_of_flags_that_cannot_be_read_exits_with_2(
    tmp_path: pathlib.Path, content: bytes
) -> None:
    (tmp_path / "flags").write_bytes(content)
    with pytest.raises(SystemExit) as exit_info:
        parse([*NEEDED, f"@{tmp_path}/flags"])
    assert exit_info.value.code == 2


def test_an_argument_that_is_not_utf_8_exits_with_2() -> None:
    with pytest.raises(SystemExit) as exit_info:
        parse([*NEEDED, "--input", "b\udcff.png"])
    assert exit_info.value.code == 2


def test_minus_one_to_one_may_stand_in_a_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "flags").write_text("--input_range -1,1\n")
    config, _ = parse([*NEEDED, f"@{tmp_path}/flags"])
    assert config.input_range == "-1,1"


def test_beams_flags_are_handed_on() -> None:
    beam_argv = ["--runner", "FlinkRunner", "--direct_num_workers=3", "--labels=a=b"]
    config, rest = parse(NEEDED + beam_argv)
    assert config.input == ("photos/",)
    assert rest == beam_argv
    check_beam_flags(EmbedConfig, rest)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--bach_size", "3"], r"--bach_size; did you mean --batch_size\?"),
        (["--bach_size=3"], r"--bach_size; did you mean --batch_size\?"),
        (["--runer=FlinkRunner"], r"--runer; did you mean --runner\?"),
        (["--gpu"], "unknown flag or argument --gpu; see --help"),
        (["--top_k=3"], r"unknown flag or argument --top_k"),
        (["photos/"], r"unknown flag or argument photos/; see --help"),
        (["-x"], r"unknown flag or argument -x"),
    ],
)
def test_unknown_flags_are_refused_with_a_hint(
    argv: list[str], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, rest = parse(["--model", "m", "--output", "o", "--input", "i", *argv[:0]])
    with pytest.raises(FlagError, match=message):
        check_beam_flags(EmbedConfig, [*rest, *argv])
    assert not caplog.records


def test_a_runner_that_is_none_is_refused() -> None:
    with pytest.raises(FlagError, match="--runner: "):
        check_beam_flags(EmbedConfig, ["--runner=FlinkRuner"])


def test_a_job_server_that_beam_starts_is_not_asked_for_its_flags() -> None:
    check_beam_flags(EmbedConfig, ["--runner=FlinkRunner", "--parallelism=2"])


def test_a_job_server_is_asked_for_its_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    options = [
        beam_job_api_pb2.PipelineOptionDescriptor(name="parallelism"),
        beam_job_api_pb2.PipelineOptionDescriptor(name="runner"),
    ]
    answer = beam_job_api_pb2.DescribePipelineOptionsResponse(options=options)
    monkeypatch.setattr(
        LocalJobServicer, "DescribePipelineOptions", lambda *_: answer, raising=False
    )
    server = LocalJobServicer()
    port = server.start_grpc_server()
    try:
        argv = ["--runner=FlinkRunner", f"--job_endpoint=localhost:{port}", "--parallelism", "2"]
        check_beam_flags(EmbedConfig, argv)
        with pytest.raises(FlagError, match=r"--paralelism; did you mean --parallelism\?"):
            check_beam_flags(EmbedConfig, [*argv[:2], "--paralelism=2"])
    finally:
        server.stop()


def test_a_job_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beam_flags, "_ANSWER_SECONDS", 0.2)
    with pytest.raises(FlagError, match="--job_endpoint localhost:1: no job server answers"):
        check_beam_flags(EmbedConfig, ["--runner=FlinkRunner", "--job_endpoint=localhost:1"])


@pytest.mark.parametrize("config_class", [EmbedConfig, ClassifyConfig])
def test_every_flag_has_help_in_a_group_and_help_fits_two_screens(
    config_class: type[RunConfig],
) -> None:
    for field in dataclasses.fields(config_class):
        assert field.metadata["help"]
        assert field.metadata["group"]
    text = make_parser(config_class, program="embed", description="").format_help()
    assert len(text.splitlines()) <= 109
    assert max(map(len, text.splitlines())) <= 100


def test_a_name_to_exclude_may_begin_with_an_at_sign(tmp_path: pathlib.Path) -> None:
    (tmp_path / "flags").write_text("--top_k 3 --exclude @eaDir # of a NAS\n--exclude a b\n")
    argv = [*NEEDED, "--exclude", "@Recycle", f"@{tmp_path}/flags", "--exclude=@tmp"]
    config, _ = parse(argv, ClassifyConfig)
    assert isinstance(config, ClassifyConfig)
    assert config.top_k == 3
    assert config.exclude == ("@Recycle", "@eaDir", "a", "b", "@tmp")


@pytest.mark.parametrize("glob", ["/photos/@eaDir", "[z-a]", ""])
def test_what_excludes_nothing_is_refused(glob: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([*NEEDED, "--exclude", glob])
    assert "--exclude" in (told := capsys.readouterr().err)
    assert repr(glob) in told


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_needs_neither_tensorflow_nor_beam(program: str) -> None:
    code = (
        "import sys\n"
        f"from pipelines import {program}\n"
        "try:\n"
        f"    {program}.main(['--help'])\n"
        "except SystemExit as exit:\n"
        "    assert exit.code == 0\n"
        "heavy = {'tensorflow', 'apache_beam', 'pyarrow'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"python -m pipelines.{program}" in done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_refuses_a_wrong_flag_in_one_line(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main = importlib.import_module(f"pipelines.{program}").main
    assert main(["--nonsense"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"{program}: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
