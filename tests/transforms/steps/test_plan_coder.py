"""What is planned between steps: its size is known without pickling."""

import pathlib

import pytest
from apache_beam.coders.typecoders import registry

from pipelines import embed
from tests.support.models import save_mean_color
from tests.support.runs import write_photos
from transforms.records import ImageRef, RefChunk, Shard, ShardKey, ShardKind
from transforms.steps.plan_coder import PlanCoder, register_plan_coder

REFS = (ImageRef("a", "photos/a.jpg", 3, "v1"), ImageRef("b", "photos/b.jpg", 4, None))


@pytest.mark.parametrize(
    "planned", [RefChunk(REFS), Shard(ShardKey(0, 2), ShardKind.IMAGES, REFS, fingerprint="f")]
)
def test_what_is_planned_survives_coding(planned: RefChunk | Shard) -> None:
    register_plan_coder()
    coder = registry.get_coder(type(planned))
    assert isinstance(coder, PlanCoder)
    assert coder.decode(coder.encode(planned)) == planned
    assert coder.estimate_size(planned) == 200


def test_chunks_are_pickled_only_to_be_grouped(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickled = []
    encode = PlanCoder.encode

    def count(coder: PlanCoder, planned: RefChunk | Shard) -> bytes:
        if isinstance(planned, RefChunk) and planned.refs:
            pickled.append(planned)
        return encode(coder, planned)

    monkeypatch.setattr(PlanCoder, "encode", count)
    save_mean_color(str(tmp_path / "model"))
    write_photos(tmp_path / "photos", 12)
    argv = ["--model", str(tmp_path / "model"), "--input", str(tmp_path / "photos")]
    assert embed.main([*argv, "--output", str(tmp_path / "out"), "--rows_per_file", "6"]) == 0
    # The listing once for each step that waits for the count of it, then the part of each shard.
    assert len(pickled) <= 6
