"""The life of a run on a disk and in each store: killed, resumed, refreshed, retried; same bytes.

The images are on this machine, so that all that a run says of them may be the same wherever it is.
"""

import json
import pathlib
import shutil
from typing import Any, NamedTuple

import pytest

from pipelines import embed, refresh, verify
from tests.support.buckets import Bucket, Folder, Place
from tests.support.images import encode, photo
from tests.support.kills import kill_once
from tests.support.runs import solid

SHARDS = 16
IMAGES = 61
"""With the broken one."""

OF_ITS_PLACE_AND_TIME = {"run_id", "previous", "config", "seconds_by_step"}
"""What _run.json says that is another's in another place."""


class Run(NamedTuple):
    """What a run says of its images.

    Attributes:
        contents: Content of its data files, inputs files and failures, by name.
        facts: All of _run.json but what is of its place and time.
    """

    contents: dict[str, bytes]
    facts: dict[str, Any]


class Life(NamedTuple):
    """What one place has seen."""

    whole: Run
    resumed: Run
    refreshed: Run
    retried: Run


class Photos:
    """A directory of images, before and after a change; its path stays."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = folder / "photos"
        before, after = folder / "before", folder / "after"
        before.mkdir()
        # They take long enough to decode for a run to be caught at work.
        for seed in range(4):
            (before / f"{seed}.png").write_bytes(encode(photo(500, 640, seed), "PNG"))
        for n in range(4, IMAGES - 1):
            shutil.copyfile(before / f"{n % 4}.png", before / f"{n}.png")
        (before / "broken.png").write_bytes(b"no image")
        shutil.copytree(before, after)  # With their times.
        (after / "1.png").write_bytes(solid(9, 9, 9))
        (after / "2.png").unlink()
        (after / "new.png").write_bytes(solid(8, 8, 8))
        (after / "broken.png").write_bytes(solid(7, 7, 7))

    def show(self, when: str) -> None:
        """Shows the images "before", or "after"."""
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(when)


def read_run(place: Place, run: str) -> Run:
    names = [
        name
        for name in place.names(f"{run}/")
        if "-of-" in name or name.endswith("/_failures.jsonl")
    ]
    record = json.loads(place.get(f"{run}/_run.json"))
    facts = {name: value for name, value in record.items() if name not in OF_ITS_PLACE_AND_TIME}
    for file in facts["files"]:
        del file["seconds"]
    return Run({name.removeprefix(f"{run}/"): place.get(name) for name in names}, facts)


def finished_shards(place: Place) -> int:
    staged = [*place.names("out/_staging/"), *place.names(".out.staging/")]
    return sum("-of-" in name and name.endswith(".json") for name in staged)


def live(place: Place, photos: Photos, model: str) -> Life:
    """Runs all of it in an empty place."""
    argv = ["--input", str(photos.path), "--model", model, "--rows_per_file", "4"]
    argv += ["--batch_size", "4"]
    root, out = f"{place.uri}/root", f"{place.uri}/out"

    def refreshed() -> Run:
        assert refresh.main([*argv, "--output_root", root]) == 0
        return read_run(place, f"root/{place.get('root/LATEST').decode().strip()}")

    photos.show("before")
    whole = refreshed()

    def delete() -> None:
        for name in place.names("out/"):
            place.delete(name)

    kill_once(lambda: finished_shards(place) > 0, delete, "embed", *argv, "--output", out)
    assert 0 < finished_shards(place) < SHARDS
    assert "out/_SUCCESS" not in place.names("out/")
    assert embed.main([*argv, "--output", out]) == 2, "what is not finished is not begun again"
    assert embed.main([*argv, "--output", out, "--resume"]) == 0
    resumed = read_run(place, "out")

    photos.show("after")
    changed = refreshed()
    # In its own place: the run before stays until the new one is complete.
    assert embed.main(["--retry_failed", out, "--output", out, "--overwrite"]) == 0
    retried = read_run(place, "out")
    for run in (root, out):
        assert verify.main([run]) == 0
    assert not [name for name in place.names() if "staging" in name]
    return Life(whole, resumed, changed, retried)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    return Photos(tmp_path_factory.mktemp("in"))


@pytest.fixture(scope="module")
def local_life(photos: Photos, mean_color: str, tmp_path_factory: pytest.TempPathFactory) -> Life:
    return live(Folder(tmp_path_factory.mktemp("local")), photos, mean_color)


def test_a_life_on_a_disk(local_life: Life) -> None:
    whole, resumed, refreshed, retried = local_life
    assert whole.facts["counts"] == {
        "matched": IMAGES, "written": IMAGES - 1, "failed": 1, "skipped": 0,
    }  # fmt: skip
    assert len(whole.facts["files"]) == SHARDS
    assert resumed.contents == whole.contents
    assert resumed.facts["counts"] == whole.facts["counts"]
    assert {name: count for name, count in refreshed.facts["changes"].items() if count} == {
        "new": 1, "changed": 1, "unchanged": IMAGES - 3, "deleted": 1, "retried": 1,
        "reused": IMAGES - 3,
    }  # fmt: skip
    assert retried.facts["counts"]["written"] == IMAGES
    assert retried.facts["inferences_saved"] == IMAGES - 1


def test_a_life_in_a_store_is_that_on_a_disk(
    bucket: Bucket, photos: Photos, mean_color: str, local_life: Life
) -> None:
    there = live(bucket, photos, mean_color)
    for run, on_disk in zip(there, local_life, strict=True):
        assert run.contents == on_disk.contents
        assert run.facts == on_disk.facts
