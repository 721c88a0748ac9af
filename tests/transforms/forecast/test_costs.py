"""The parts of a forecast: inputs counted, a sample drawn, costs added up."""

import pathlib
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.runs import write_examples
from tests.support.tars import write_tar
from transforms.errors import InputError
from transforms.forecast.costs import Costs, SampleCosts
from transforms.forecast.input_survey import Survey, take_survey
from transforms.forecast.sample import BATCHES_A_THREAD, SAMPLE_IMAGES, make_sample, sample_size
from transforms.inputs.columns import FileColumns
from transforms.inputs.counts import FileCount, count_in_files
from transforms.inputs.listing import classify_input
from transforms.machine.usage import peak_memory_bytes, seconds_since_start
from transforms.records import ImageRef, InputFile, ShardKind

COLUMNS = FileColumns(None, None, pa.schema([]))
NOISE = bytes(range(256)) * 120  # Larger than any buffer, and gzip makes it small.


def survey_of(folder: pathlib.Path, draw: int = 5, columns: FileColumns = COLUMNS) -> Survey:
    sources = (classify_input(str(folder)),)
    return take_survey(sources, (), columns, draw=draw, is_wanted=lambda ref: True)


def input_file(path: pathlib.Path, kind: ShardKind) -> InputFile:
    return InputFile(kind, str(path), str(path.parent), path.stat().st_size)


def test_a_survey_counts_what_is_listed(tmp_path: pathlib.Path) -> None:
    for n in range(40):
        (tmp_path / f"{n}.jpg").write_bytes(bytes(n))
    for name in ("b.parquet", "a.tar", "c.tfrecord", "notes.txt", "more.txt", "x.tar.gz"):
        (tmp_path / name).write_bytes(b"123")
    survey = survey_of(tmp_path)
    assert (survey.images, survey.image_bytes, survey.unsized) == (40, sum(range(40)), 0)
    assert [pathlib.Path(file.uri).name for file in survey.files] == [
        "a.tar", "b.parquet", "c.tfrecord"
    ]  # fmt: skip
    assert {one.reason: one.total for one in survey.skipped}[".txt"] == 2
    assert sum(one.total for one in survey.skipped) == 3


def test_images_are_drawn_the_same_ones_every_time_and_from_everywhere(
    tmp_path: pathlib.Path,
) -> None:
    for n in range(1000):
        (tmp_path / f"{n:04d}.jpg").write_bytes(b"")
    columns = FileColumns(None, "relative_path", pa.schema([]))  # Which are drawn follows from ids.
    drawn = survey_of(tmp_path, 100, columns).drawn
    assert drawn == survey_of(tmp_path, 100, columns).drawn
    assert len({ref.image_id for ref in drawn}) == 100
    numbers = [int(pathlib.Path(ref.uri).stem) for ref in drawn]
    for hundred in range(0, 1000, 100):
        assert sum(hundred <= number < hundred + 100 for number in numbers) >= 3
    assert survey_of(tmp_path, 10, columns).drawn == drawn[:10]
    assert len(survey_of(tmp_path, 5000, columns).drawn) == 1000


def test_only_what_is_wanted_is_drawn(tmp_path: pathlib.Path) -> None:
    for n in range(20):
        (tmp_path / f"{n}.jpg").write_bytes(b"")
    survey = take_survey(
        (classify_input(str(tmp_path)),),
        (),
        COLUMNS,
        draw=50,
        is_wanted=lambda ref: ref.uri.endswith("7.jpg"),
    )
    assert sorted(pathlib.Path(ref.uri).name for ref in survey.drawn) == ["17.jpg", "7.jpg"]
    assert survey.images == 20


def test_a_survey_refuses_what_a_run_refuses(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match="no images found"):
        survey_of(tmp_path)
    (tmp_path / "1.jpg").write_bytes(b"")
    (tmp_path / "e.tfrecord").write_bytes(b"")
    sources = (classify_input(str(tmp_path)), classify_input(str(tmp_path / "1.jpg")))
    with pytest.raises(InputError, match=r"1\.jpg is listed twice"):
        take_survey(sources, (), COLUMNS, draw=1, is_wanted=lambda ref: True)
    sources = (classify_input(str(tmp_path)), classify_input(str(tmp_path / "e.tfrecord")))
    with pytest.raises(InputError, match="is matched by two --input patterns"):
        take_survey(sources, (), COLUMNS, draw=1, is_wanted=lambda ref: True)


def test_images_of_a_manifest_are_counted_though_their_sizes_are_not_known(
    tmp_path: pathlib.Path,
) -> None:
    manifest = tmp_path / "list.txt"
    manifest.write_text("gs://bucket/a.jpg\ngs://bucket/b.jpg\n")
    survey = take_survey((), (str(manifest),), COLUMNS, draw=9, is_wanted=lambda ref: True)
    assert (survey.images, survey.unsized, len(survey.drawn)) == (2, 2, 2)


def test_parquet_rows_are_counted_by_the_footers(tmp_path: pathlib.Path) -> None:
    files = []
    for n in range(30):
        pq.write_table(pa.table({"image": [b"1"] * (n * 10)}), tmp_path / f"{n}.parquet")
        files.append(input_file(tmp_path / f"{n}.parquet", ShardKind.PARQUET))
    (tmp_path / "bad.parquet").write_bytes(b"nothing of the kind")
    files.append(input_file(tmp_path / "bad.parquet", ShardKind.PARQUET))
    counts = count_in_files(files, COLUMNS)
    assert counts[files[7]] == FileCount(70, is_exact=True)
    assert sum(count.images for count in counts.values()) == 10 * sum(range(30)) + 1


def test_small_files_are_counted_to_their_end(tmp_path: pathlib.Path) -> None:
    write_examples(tmp_path / "e.tfrecord", [b"1"] * 200)
    members = {f"{n}.{kind}": b"1" for n in range(150) for kind in ("cls", "png")}
    for name in ("t.tar", "t.tar.gz", "t.tgz"):
        write_tar(tmp_path / name, members)
    (tmp_path / "bad.tar").write_bytes(b"no tar at all" * 100)
    files = [input_file(tmp_path / "e.tfrecord", ShardKind.TFRECORD)]
    files += [input_file(path, ShardKind.TAR) for path in sorted(tmp_path.glob("*.t*r*")) if
              path.suffix != ".tfrecord"]  # fmt: skip
    files.append(input_file(tmp_path / "t.tgz", ShardKind.TAR))
    found = {pathlib.Path(file.uri).name: n for file, n in count_in_files(files, COLUMNS).items()}
    assert found == {
        "e.tfrecord": (200, True),
        "t.tar": (150, True),
        "t.tar.gz": (150, True),
        "t.tgz": (150, True),
        "bad.tar": (1, True),
    }


@pytest.mark.parametrize("name", ["x.tfrecord", "x.tar", "x.tar.gz"])
def test_large_files_are_counted_by_their_beginnings(tmp_path: pathlib.Path, name: str) -> None:
    """A record or sample is 30 kB; in the archives the label takes a block of its own."""
    path = tmp_path / name
    if name.endswith("tfrecord"):
        write_examples(path, [NOISE] * 300)
        kind = ShardKind.TFRECORD
    else:
        # Of what gzip cannot make small: the rest of the file is as dense as its beginning.
        chance = random.Random(0)
        write_tar(
            path,
            {f"{n}.{kind}": chance.randbytes(30_000 if kind == "png" else 1)
             for n in range(300) for kind in ("cls", "png")},
        )  # fmt: skip
        kind = ShardKind.TAR
    ((count, is_exact),) = count_in_files([input_file(path, kind)], COLUMNS).values()
    assert count == pytest.approx(300, rel=0.03)
    assert not is_exact


def test_many_files_are_counted_by_some(tmp_path: pathlib.Path) -> None:
    files = []
    for n in range(40):
        members = {f"{i}.png": NOISE for i in range(20)}
        write_tar(tmp_path / f"{n:02d}.tar", members)
        files.append(input_file(tmp_path / f"{n:02d}.tar", ShardKind.TAR))
    counts = count_in_files(files, COLUMNS)
    assert sum(count.images for count in counts.values()) == pytest.approx(800, rel=0.03)
    assert sum(count.is_exact for count in counts.values()) == 16


def refs(count: int) -> list[ImageRef]:
    return [ImageRef(f"{n:05d}", f"/{n:05d}.jpg") for n in range(count)]


def files_of(count: int) -> list[InputFile]:
    return [InputFile(ShardKind.TAR, f"/{n:03d}.tar", "/", 1000) for n in range(count)]


def test_a_sample_has_every_image_once_in_shards_for_every_thread_and_an_empty_one() -> None:
    drawn = refs(320)
    sample = make_sample(
        drawn,
        [],
        images=2000,
        images_in_files=0,
        rows_per_shard=125,
        size=sample_size(32, 2),
        threads=2,
    )
    assert [len(shard.refs) for shard in sample.shards] == [80, 80, 80, 80, 0]
    assert [shard.key.index for shard in sample.shards] == [0, 1, 2, 3, 4]
    assert {shard.key.count for shard in sample.shards} == {5}
    assert sorted(ref.image_id for shard in sample.shards for ref in shard.refs) == [
        ref.image_id for ref in drawn
    ]
    large = make_sample(
        drawn,
        [],
        images=10**6,
        images_in_files=0,
        rows_per_shard=7812,
        size=sample_size(32, 2),
        threads=2,
    )
    assert [len(shard.refs) for shard in large.shards] == [160, 160, 0]
    one = make_sample(
        refs(1),
        [],
        images=1,
        images_in_files=0,
        rows_per_shard=1,
        size=sample_size(32, 2),
        threads=2,
    )
    assert [len(shard.refs) for shard in one.shards] == [1, 0]


def test_a_sample_takes_the_beginnings_of_files_far_apart() -> None:
    files = files_of(100)
    sample = make_sample(
        [],
        files,
        images=0,
        images_in_files=10**6,
        rows_per_shard=0,
        size=sample_size(32, 2),
        threads=2,
    )
    chosen = [file for shard in sample.shards for file in shard.files]
    assert chosen == [files[0], files[25], files[50], files[75]]
    assert sample.images_per_file * len(chosen) >= SAMPLE_IMAGES
    small = make_sample(
        [],
        files,
        images=0,
        images_in_files=1000,
        rows_per_shard=0,
        size=sample_size(32, 2),
        threads=2,
    )
    assert sum(len(shard.files) for shard in small.shards) == 52


def test_a_sample_of_both_kinds_has_both_as_the_run_has() -> None:
    sample = make_sample(
        refs(SAMPLE_IMAGES),
        files_of(8),
        images=3000,
        images_in_files=1000,
        rows_per_shard=188,
        size=sample_size(32, 2),
        threads=2,
    )
    assert sum(len(shard.refs) for shard in sample.shards) == 384
    assert sum(len(shard.files) for shard in sample.shards) == 4
    assert sample.images_per_file * 4 == SAMPLE_IMAGES - 384


def test_more_threads_and_larger_batches_need_more_images() -> None:
    assert sample_size(32, 2) == SAMPLE_IMAGES
    assert sample_size(64, 16) == 64 * 16 * BATCHES_A_THREAD


def test_what_is_spent_once_is_told_from_what_every_image_takes() -> None:
    sample = SampleCosts(
        images=320,
        rows=300,
        seconds=7.2,
        images_per_second=100.0,
        file_bytes=(3000, 4000),
        empty_file_bytes=500,
    )
    costs = sample.of_a_run(launch_seconds=5.0)
    assert costs.start_seconds == pytest.approx(9.0)
    assert costs.row_bytes == 20.0
    assert costs.seconds(2000, 16) == pytest.approx(29.0)
    assert costs.output_bytes(2000, 16) == 16 * 500 + 2000 * 20


def test_workers_share_whole_shards() -> None:
    costs = Costs(start_seconds=10, images_per_second=100, file_bytes=0, row_bytes=0)
    assert costs.seconds(1600, 16, 1) == 10 + 16
    assert costs.seconds(1600, 16, 4) == 10 + 4
    assert costs.seconds(1600, 16, 5) == 10 + 4  # One of them has four shards, too.
    assert costs.seconds(1600, 16, 16) == costs.seconds(1600, 16, 99) == 10 + 1
    assert costs.seconds(0, 16, 4) == 10


def test_the_process_knows_its_age_and_memory() -> None:
    assert 0 < seconds_since_start() < 24 * 3600
    assert 10e6 < peak_memory_bytes() < 100e9
