"""The commands of pages: programs take the flags of all, and many run as they stand."""

import contextlib
import importlib
import pathlib
import re
import shlex
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from pipelines.cli.beam_flags import check_beam_flags
from pipelines.cli.parser import parse_flags, parse_own_flags
from pipelines.cli.refresh_flags import RefreshConfig
from pipelines.cli.run_flags import RunConfig
from tests.support.images import encode
from tests.support.models import save_logits, save_output
from tests.support.places import ROOT

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]

RUN = (
    "README",
    "docs/README",
    "docs/looking_at_runs",
    "docs/models",
    "docs/planning",
    "docs/training",
    "docs/inputs",
)
"""Pages whose commands are run, in an order in which a reader may come to them."""

CLASSES = {"cat": (220, 40, 30), "dog": (30, 200, 60), "fox": (40, 60, 210)}

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
_COMMAND = re.compile(r"(?:python -m pipelines\.|image-inference )(\w+)\b([^\n|;>&]*)")
_NOT_HERE = re.compile(r"\w+://|@build/|species|9/1698|dinov2")
"""Stores, clusters, a model to download, and a column and an image of runs that no page makes."""


class Command(NamedTuple):
    """A command of a page: the program's name, and its arguments."""

    program: str
    argv: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join((self.program, *self.argv))


def commands_of(page: pathlib.Path) -> Iterator[Command]:
    """Yields what a page's blocks have in the way of commands, in order."""
    for _, block in _FENCED.findall(page.read_text()):
        for program, arguments in _COMMAND.findall(block.replace("\\\n", " ")):
            if (ROOT / "pipelines" / f"{program}.py").exists():
                # In YAML a command is the value of a key, in quotes.
                words = shlex.split(arguments.rstrip(' \n",'), comments=True)
                yield Command(program, tuple(words))


EVERY = [(page, command) for page in PAGES for command in commands_of(page)]


CONFIGS = [
    block
    for language, block in _FENCED.findall((ROOT / "docs/scheduling.md").read_text())
    if language == "yaml" and "\noutput_root: " in block
]
"""What --config reads, as the page on schedulers has it."""


@pytest.mark.parametrize("config", CONFIGS)
def test_a_refresh_takes_the_config(config: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "nightly.yaml").write_text(config)
    argv = ["--config", str(tmp_path / "nightly.yaml")]
    given, beam_argv = parse_flags(RefreshConfig, argv, program="refresh", description="")
    assert given.output_root.endswith("vectors")
    assert given.keep == 7
    check_beam_flags(RefreshConfig, beam_argv)


def test_commands_are_found() -> None:
    assert len(EVERY) >= 35
    pages = {page.stem for page, _ in EVERY}
    assert {"README", "scheduling", "looking_at_runs", "clusters", "watching"} <= pages


@pytest.mark.parametrize(
    ("page", "command"), EVERY, ids=[f"{page.stem}: {command}"[:60] for page, command in EVERY]
)
def test_a_program_takes_the_flags(
    page: pathlib.Path, command: Command, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(f"pipelines.{command.program}")
    if not hasattr(module, "PROGRAM"):
        pytest.skip("it has no flags")
    program = module.PROGRAM
    flags = tmp_path / "build" / "flink" / "flags"  # As scripts/flink_up writes it.
    flags.parent.mkdir(parents=True)
    flags.write_text("--runner=FlinkRunner\n")
    (tmp_path / "nightly.yaml").write_text(next(block for block in CONFIGS if "/data/" in block))
    (tmp_path / "run.yaml").write_text("input: [photos]\nmodel: m\noutput: o\n")
    monkeypatch.chdir(tmp_path)
    if issubclass(program.config_class, RunConfig):
        _, beam_argv = parse_flags(
            program.config_class, command.argv, program=program.name, description=""
        )
        if "@build/flink/flags" not in command.argv:  # Else a job server is asked.
            check_beam_flags(program.config_class, beam_argv)
    else:
        parse_own_flags(
            program.config_class,
            command.argv,
            program=program.name,
            description="",
            usage=program.usage,
            epilog=program.epilog,
        )


def test_commands_of_pages_run(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_what_readers_have(tmp_path)
    ran = 0
    with contextlib.chdir(tmp_path):
        for name in RUN:
            for command in commands_of(ROOT / f"{name}.md"):
                if not _NOT_HERE.search(str(command)):
                    prepare(command)
                    main = importlib.import_module(f"pipelines.{command.program}").main
                    assert main(list(command.argv)) == 0, f"{command}\n{capsys.readouterr().err}"
                    ran += 1
            if name == "README":
                run_programs_of_readme(capsys)
    assert ran >= 20
    for page in ("report", "diff", "drift", "evaluation", "search"):
        assert (tmp_path / f"{page}.html").stat().st_size > 1000


def run_programs_of_readme(capsys: pytest.CaptureFixture[str]) -> None:
    """Runs README's two programs on what its commands have written."""
    capsys.readouterr()
    left: dict[str, Any] = {}
    for language, block in _FENCED.findall((ROOT / "README.md").read_text()):
        if language == "python":
            exec(block, left)
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert left["vectors"].shape == (len(left["ids"]), 16) == (201, 16)


def make_what_readers_have(folder: pathlib.Path) -> None:
    """Makes what pages take for given: photos in a folder a class, models, a truth, a list."""
    rng = np.random.default_rng(7)
    truth = ["image_id,label"]
    for label, colour in CLASSES.items():
        for number in range(67):  # As many as README says, and so as many files.
            noise = rng.integers(-25, 26, (40, 50, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            for root in ("photos", "millions"):
                path = folder / root / label / f"{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encode(pixels, "JPEG"))
            truth.append(f"{folder}/photos/{label}/{number}.jpg,{label}")
    (folder / "truth.csv").write_text("\n".join(truth))
    captions = [f"photos/cat/{number % 2}.jpg,a cat" for number in range(5)]
    (folder / "captions.csv").write_text("\n".join(["uri,caption", *captions]))
    shutil.copy(folder / "photos" / "cat" / "0.jpg", folder / "cat.jpg")
    for name in ("classification_model", "my_classifier"):
        save_logits(folder / name, labels=list(CLASSES))
    kernel = rng.standard_normal((3, 16)).astype(np.float32)
    for name in ("feature_vector_model", "my_model"):
        save_output(folder / name, lambda images: tf.reduce_mean(images, [1, 2]) @ kernel)
    table = pa.table(
        {
            "url": [f"photos/cat/{number}.jpg" for number in range(5)],
            "SAMPLE_ID": [str(number) for number in range(5)],
            "TEXT": ["a cat"] * 5,
        }
    )
    pq.write_table(table, folder / "part-00000.parquet")
    write_boxes(folder)


def write_boxes(folder: pathlib.Path) -> None:
    """Writes a list of boxes, and a record with two."""
    lines = ["uri,class,xmin,ymin,xmax,ymax", "cat.jpg,cat,5,5,45,30", "cat.jpg,ear,5,5,9,9"]
    (folder / "labels.csv").write_text("\n".join(lines))
    example = tf.train.Example()
    feature = example.features.feature
    feature["image/encoded"].bytes_list.value.append((folder / "cat.jpg").read_bytes())
    feature["image/object/class/text"].bytes_list.value.extend([b"cat", b"ear"])
    sides = {"ymin": (0.1, 0.1), "xmin": (0.1, 0.1), "ymax": (0.8, 0.2), "xmax": (0.9, 0.2)}
    for side, values in sides.items():
        feature[f"image/object/bbox/{side}"].float_list.value.extend(values)
    with tf.io.TFRecordWriter(str(folder / "train-0.tfrecord")) as writer:
        writer.write(example.SerializeToString())


def prepare(command: Command) -> None:
    """Makes the runs that a command compares with, and room for what it writes."""
    words = dict(zip(command.argv, command.argv[1:], strict=False))
    # Each page begins anew with vectors/ and labels/.
    shutil.rmtree(words.get("--output", "nothing"), ignore_errors=True)
    for word in command.argv:
        if not pathlib.Path(word).exists():
            match word:
                case "nightly/2026-11-23T02-15-04Z":
                    shutil.copytree(pathlib.Path("nightly", read_latest()), word)
                case "vectors_bfloat16/" | "labels_of_new_model/":
                    shutil.copytree(word.partition("_")[0], word)


def read_latest() -> str:
    return pathlib.Path("nightly", "LATEST").read_text().strip()
