"""What --plan says of an output is what a run then does."""

import contextlib
import json
import os
import pathlib
import uuid
from collections.abc import Callable

import pytest

from transforms.errors import OutputError
from transforms.lifecycle import staging
from transforms.lifecycle.claim import claim_output
from transforms.lifecycle.lock import run_lock
from transforms.lifecycle.outlook import look_at_output
from transforms.lifecycle.owner import this_process

PLAN = {
    "program": "embed", "recipe": {"a": 1}, "columns": {}, "layout": {}, "software": {},
    "config": {"batch_size": 4, "resume": False, "overwrite": False},
}  # fmt: skip
FLAGS = [(False, False), (True, False), (False, True), (True, True)]


def hold_run(
    directory: pathlib.Path, batch_size: int = 4, run_id: str = "0", recipe: int = 1
) -> None:
    """Publishes a run."""
    directory.mkdir(exist_ok=True)
    config = {"batch_size": batch_size}
    record = {"run_id": run_id, "config": config, "recipe": {"a": recipe}, "columns": {}}
    (directory / "_run.json").write_text(json.dumps(record))
    (directory / "_SUCCESS").write_text("")


def leave_unfinished(
    output: pathlib.Path, where: pathlib.Path, *, recipe: int = 1, may_replace: bool = False
) -> None:
    """Leaves what a run does that dies after its first shard."""
    where.mkdir(exist_ok=True)
    own = {"run_id": "1", "started_at": "then", "output": str(output), "overwrite": may_replace}
    staging.write_plan(str(where), {**PLAN, "recipe": {"a": recipe}, **own})
    (where / "00000-of-00002.json").write_text("{}")


def put_aside(output: pathlib.Path, where: pathlib.Path) -> None:
    """Leaves what a crash between two renames does."""
    where.mkdir()
    hold_run(where / staging.REPLACED, batch_size=5)


def left_over(output: pathlib.Path, where: pathlib.Path) -> None:
    """Leaves what a run does that dies while it clears its staging directory."""
    hold_run(output, run_id="1")
    leave_unfinished(output, where)


def leave_a_part(output: pathlib.Path, where: pathlib.Path) -> None:
    """Leaves what a run does that is put in place file by file and dies at it."""
    output.mkdir()
    (output / "_failures.jsonl").touch()
    (output / f"_run.json.{uuid.uuid4().hex}.partial").touch()


def of_another(output: pathlib.Path, where: pathlib.Path) -> None:
    """Leaves a file that no run wrote."""
    output.mkdir()
    (output / "thesis.pdf").write_text("mine")
    leave_unfinished(output, where)


def both(output: pathlib.Path, where: pathlib.Path, *, may_replace: bool = False) -> None:
    """Publishes one run and leaves another one unfinished."""
    hold_run(output, batch_size=5)
    leave_unfinished(output, where, may_replace=may_replace)


State = Callable[[pathlib.Path, pathlib.Path], None]

STATES: dict[str, State] = {
    "free": lambda output, where: None,
    "a run": lambda output, where: hold_run(output, batch_size=5),
    "this command's run": lambda output, where: hold_run(output),
    "a run of another model": lambda output, where: hold_run(output, recipe=2),
    "a part of a run": leave_a_part,
    "unfinished": leave_unfinished,
    "another unfinished": lambda output, where: leave_unfinished(output, where, recipe=2),
    "a run and an unfinished one": both,
    "a run and one to replace it": lambda output, where: both(output, where, may_replace=True),
    "a run put aside": put_aside,
    "leavings": left_over,
    "a stranger's file": of_another,
}

REFUSED = {
    "a run": "ny--", "this command's run": "n---", "a part of a run": "ny--",
    "a run of another model": "ny--",
    "unfinished": "n---", "another unfinished": "ny--", "a run and an unfinished one": "ny--",
    "a run and one to replace it": "n---", "a run put aside": "ny--", "leavings": "n---",
    "a stranger's file": "nyyy",
}  # fmt: skip
"""Letter for letter of FLAGS: - where the run may go on."""


def tree(folder: pathlib.Path) -> dict[str, bytes]:
    paths = sorted(folder.rglob("*"))
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in paths}


@pytest.mark.parametrize("flags", range(4))
@pytest.mark.parametrize("state", STATES)
def test_a_run_is_refused_where_the_outlook_says_so(
    tmp_path: pathlib.Path, state: str, flags: int
) -> None:
    output = tmp_path / "out"
    where = staging.staging_path(str(output))
    STATES[state](output, pathlib.Path(where))
    before = tree(tmp_path)
    resume, overwrite = FLAGS[flags]
    outlook = look_at_output(
        str(output), where, PLAN, flag="--output", resume=resume, overwrite=overwrite
    )
    assert tree(tmp_path) == before
    claimed = None
    with (
        contextlib.suppress(OutputError),
        claim_output(
            lambda: str(output), where, PLAN, flag="--output", resume=resume, overwrite=overwrite
        ) as claim,
    ):
        claimed = claim
    is_refused = REFUSED.get(state, "----")[flags] != "-"
    assert (claimed is None) == is_refused
    assert ("refused" in outlook) == is_refused
    if claimed is not None:
        assert claimed.is_resumed == ("gone on with" in outlook)
        assert claimed.is_published == ("nothing to resume" in outlook)


def test_the_outlook_names_who_lives_there_and_what_is_in_the_way(tmp_path: pathlib.Path) -> None:
    output = tmp_path / "out"
    where = staging.staging_path(str(output))

    def outlook(*, resume: bool = False) -> str:
        return look_at_output(
            str(output), where, PLAN, flag="--output", resume=resume, overwrite=False
        )

    assert outlook() == "--output is free"
    with run_lock(where, this_process("12345678", "embed")):
        assert outlook().startswith("--output: run 12345678 of pipelines.embed (process ")
        assert outlook().endswith(" is writing there; a run would be refused until that is done")
    pathlib.Path(where, staging.LOCK_FILE).unlink()
    leave_unfinished(output, pathlib.Path(where), recipe=2)
    assert outlook(resume=True) == (
        "--output: an unfinished run of then waits (1 shards), which was another one: recipe.a was "
        "2, is 1; a run would be refused without --overwrite"
    )
    output.write_text("mine")
    assert outlook(resume=True) == (
        "--output is a file; choose an empty or new directory; a run would be refused"
    )


def die(output: pathlib.Path, where: str, *, shards: int) -> None:
    """Claims an output, finishes some shards, and fails."""
    flags = {"resume": False, "overwrite": False}
    with claim_output(lambda: str(output), where, PLAN, flag="--output", **flags):
        for n in range(shards):
            pathlib.Path(where, f"{n:05d}-of-00002.json").write_text("{}")
        raise KeyError


def test_what_ends_before_its_first_shard_leaves_nothing(tmp_path: pathlib.Path) -> None:
    output = tmp_path / "out"
    where = staging.staging_path(str(output))
    with pytest.raises(KeyError):
        die(output, where, shards=0)
    assert not os.path.exists(where)
    with pytest.raises(KeyError):
        die(output, where, shards=1)
    assert staging.read_plan(where) is not None


@pytest.mark.parametrize(
    ("batch_size", "unlike"),
    [
        (4, "recipe.a was 2, is 1"),
        (5, "batch_size was 5, is 4"),
    ],
)
def test_of_a_published_run_that_is_another_one_it_is_said_what_differs(
    batch_size: int, unlike: str, tmp_path: pathlib.Path
) -> None:
    output = tmp_path / "out"
    hold_run(output, batch_size=batch_size, recipe=2)
    where = staging.staging_path(str(output))
    held = f"--output holds a published run (0 data files), which is another one: {unlike}; "
    outlook = look_at_output(
        str(output), where, PLAN, flag="--output", resume=True, overwrite=False
    )
    assert outlook == f"{held}a run would be refused without --overwrite"
    claim = claim_output(
        lambda: str(output), where, PLAN, flag="--output", resume=True, overwrite=False
    )
    with pytest.raises(OutputError) as refused, claim:
        pass
    assert str(refused.value).startswith(f"--resume: {held}choose another directory, or add ")


def test_what_versions_and_machines_decide_makes_no_other_run(tmp_path: pathlib.Path) -> None:
    output = tmp_path / "out"
    hold_run(output)
    record = json.loads((output / "_run.json").read_text())
    record["recipe"] |= {
        "preprocessing": {"decoder_version": "1"},
        "model": {"engine": "openvino", "precision": "bfloat16", "quantized": "0a1b"},
    }
    (output / "_run.json").write_text(json.dumps(record))
    where = staging.staging_path(str(output))
    outlook = look_at_output(
        str(output), where, PLAN, flag="--output", resume=True, overwrite=False
    )
    assert outlook.endswith("which this command has published; there is nothing to resume")
