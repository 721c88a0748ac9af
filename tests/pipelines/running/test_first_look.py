"""What a command line names that cannot work: told before Beam and TensorFlow are imported."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.runs import write_photos
from transforms.runs.directory import FAILURES_FILE, RUN_FILE, SUCCESS_FILE

PROGRAM = """
import contextlib, importlib, io, json, sys
sys.modules.update({"boto3": None, "azure.identity": None})
for argv in json.load(sys.stdin):
    error = io.StringIO()
    with contextlib.redirect_stderr(error):
        code = importlib.import_module(f"pipelines.{argv[0]}").main(argv[1:])
    loaded = [name for name in ("apache_beam", "tensorflow") if name in sys.modules]
    print(json.dumps([code, error.getvalue(), loaded]))
"""
"""Runs command lines in one process, as if no extra were installed; prints exit code, message and
large libraries of each."""

EMBED = "--model {model} --output {tmp}/out"
CLASSIFY = "--input {tmp}/photos --model {logits} --output {tmp}/out"


class Case(NamedTuple):
    line: str
    messages: tuple[str, ...]


CASES = [
    Case(
        f"classify {CLASSIFY} --top_k 4",
        ("--top_k 4 is over the number of classes: the model has 3", "--top_k 3 for all"),
    ),
    Case(
        "refresh --program classify --input {tmp}/photos --model {logits} --output_root {tmp}/o "
        "--top_k 1000",
        ("the model has 3",),
    ),
    Case(
        f"embed --input {{tmp}}/list.txt {EMBED}",
        ("is a text file, and begins 'photos/0.png'", "--manifest {tmp}/list.txt"),
    ),
    Case(
        "embed --input {tmp}/photos --model {tmp}/above --output {tmp}/out",
        (
            "no saved_model.pb and no .onnx file in {tmp}/above",
            "there is a model in {tmp}/above/model: give that",
        ),
    ),
    Case(
        "embed --input {tmp}/photos --model {tmp}/photos --output {tmp}/out",
        ("no saved_model.pb and no .onnx file in {tmp}/photos, which holds",),
    ),
    Case(
        "embed --input {tmp}/photos --model {tmp}/nothing --output {tmp}/out",
        ("no model {tmp}/nothing: want a directory that holds saved_model.pb",),
    ),
    Case(
        "embed --input {tmp}/photos --model {model} --output {tmp}/done",
        ("--output {tmp}/done holds a published run (1 data files)", "add --overwrite"),
    ),
    Case(
        "embed --input {tmp}/photos --model {model} --output {tmp}/above --overwrite",
        ("holds files that no run wrote",),
    ),
    Case(
        "embed --input {tmp}/photos --model {model} --output {tmp}/list.txt --resume",
        ("--output {tmp}/list.txt is a file",),
    ),
    Case(
        "embed --input {tmp}/photos --model {model} --output {tmp}/photos/out",
        ("is inside --input {tmp}/photos",),
    ),
    Case(f"embed --input s3://b/a {EMBED}", ("--input s3://b/a: ", "'.[s3]'")),
    Case(f"embed --manifest hdfs://b/a.txt {EMBED}", ("--manifest", "'apache-beam[hadoop]'")),
    Case(
        "embed --input {tmp}/photos --model az://b/m --output {tmp}/out",
        ("--model az://b/m: ", "'.[azure]'"),
    ),
    Case(
        "embed --input {tmp}/photos --model {model} --output s3a://b/out",
        ("--output s3a://b/out: no file system is known", "write s3://"),
    ),
    Case(
        "embed --input {tmp}/photos --model {model} --output https://a.invalid/out",
        ("--output https://a.invalid/out: this is on the web, from which only images, manif",),
    ),
    Case(f"embed --manifest http://a.invalid/m?x=.csv {EMBED}", ("unknown format '';",)),
    Case(f"embed --manifest http://me:pw@a.invalid/m.csv {EMBED}", ("--manifest is no URL that",)),
    Case(f"classify {CLASSIFY} --labels http://a.invalid:0/x.txt", ("--labels is no URL that",)),
    Case(f"embed --input http://a.invalid/m.csv?v=1 {EMBED}", ("is given as --manifest",)),
    Case(f"embed --input https://a.invalid/photos/ {EMBED}", ("the web cannot be listed",)),
    Case(f"embed --input https://a.invalid/*.jpg {EMBED}", ("the web cannot be listed",)),
    Case(f"embed --input https://a.invalid/x.tar?v=1 {EMBED}", ("of the web only images",)),
    Case(f"embed --input https://me:secret@a.invalid/x.jpg {EMBED}", ("holds credentials",)),
    Case(f"embed --input {{tmp}}/nothing {EMBED}", ("no such file or directory",)),
    Case(f"embed --input {{tmp}}/photos/*.tiff {EMBED}", ("the glob matches no file",)),
    Case(f"embed --input {{tmp}}/empty {EMBED}", ("no images found",)),
    Case(f"embed --input {{tmp}}/texts {EMBED}", ("no images found", "left out: 2 .txt")),
    Case(f"embed --manifest {{tmp}}/empty.txt {EMBED}", ("no images found",)),
    Case(f"embed --manifest {{tmp}}/nothing.txt {EMBED}", ("nothing.txt", "no such file")),
    Case(f"embed --manifest {{tmp}}/photos {EMBED}", ("--manifest", "unknown format")),
    Case(f"classify {CLASSIFY} --labels {{tmp}}/no.txt", ("cannot read labels {tmp}/no.txt",)),
    Case(f"embed --input {{tmp}}/photos {EMBED} --canaries {{tmp}}/no", ("--canaries",)),
    Case(
        f"embed --input {{tmp}}/photos {EMBED} --canaries {{tmp}}/sealed --write_canaries",
        ("--write_canaries: {tmp}/sealed may not be written",),
    ),
    Case(
        "refresh --input {tmp}/photos --model {model} --output_root {tmp}/done",
        ("--output_root {tmp}/done is a run; wanted the directory that runs are in",),
    ),
    Case("inspect_model {tmp}/nothing", ("no model {tmp}/nothing",)),
    Case("inspect_model {model} --labels {tmp}/no.txt", ("cannot read labels {tmp}/no.txt",)),
    Case("convert_model --model {tmp}/empty --output {tmp}/out", ("which holds nothing",)),
    Case("convert_model --model {model} --output {tmp}/photos", ("is there already",)),
    Case(
        "convert_model --model {model} --output {tmp}/list.txt/out",
        ("cannot write {tmp}/list.txt/out: {tmp}/list.txt is no directory",),
    ),
    Case(
        "train_classifier --embeddings {tmp}/done --output {tmp}/list.txt/deep/out",
        ("cannot write {tmp}/list.txt/deep/out: {tmp}/list.txt is no directory",),
    ),
    Case("convert_model --modle {model} --output {tmp}/out", ("did you mean --model?",)),
    Case(
        "train_classifier --embeddings {tmp}/nothing --output {tmp}/out",
        ("{tmp}/nothing holds no complete run: there is no such directory",),
    ),
    Case("train_classifier --embeddings {tmp}/done --output {tmp}/photos", ("there already",)),
    Case("report {tmp}/nothing", ("there is no such directory",)),
    Case("diff {tmp}/done --outptu {tmp}/a.html", ("--outptu; did you mean --output?",)),
    Case("verify {tmp}/done --allow", ("--allow; did you mean --allow_zero_vectors?",)),
    Case("search --image-di 3 {tmp}/done", ("--image-di; did you mean --image_id?",)),
    Case("index {tmp}/empty", ("no _SUCCESS in it",)),
    Case("embed --retry_failed {tmp}/empty --output {tmp}/out", ("holds no complete run",)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, mean_color: str) -> Path:
    folder = tmp_path_factory.mktemp("first")
    write_photos(folder / "photos", 2)
    write_photos(folder / "sealed", 1)
    (folder / "sealed").chmod(0o500)
    (folder / "list.txt").write_text("photos/0.png\nphotos/1.png\n")
    (folder / "empty.txt").touch()
    for name in ("empty", "texts", "done"):
        (folder / name).mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / "texts" / name).write_text("hello")
    for name in (RUN_FILE, FAILURES_FILE, SUCCESS_FILE, "embeddings-00000-of-00001.parquet"):
        (folder / "done" / name).touch()
    shutil.copytree(mean_color, folder / "above" / "model")
    shutil.copytree(mean_color, folder / "above" / "other")  # One alone would be taken.
    (folder / "above" / "notes.txt").write_text("hello")
    return folder


def run_all(lines: list[list[str]], cwd: Path) -> list[tuple[int, str, list[str]]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(lines),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=True,
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_what_cannot_work_is_told_before_beam_and_tensorflow_are_imported(
    folder: Path, mean_color: str, logits: str
) -> None:
    names = {"tmp": str(folder), "model": mean_color, "logits": logits}
    before = sorted(folder.rglob("*"))
    lines = [[word.format(**names) for word in case.line.split()] for case in CASES]
    for case, (code, error, loaded) in zip(CASES, run_all(lines, folder), strict=True):
        assert (code, loaded) == (2, []), (case.line, error)
        assert error.startswith(f"{case.line.split()[0]}: "), case.line
        assert len(error.splitlines()) == 1, error
        assert "secret" not in error
        for message in case.messages:
            assert message.format(**names) in error, case.line
    assert sorted(folder.rglob("*")) == before
