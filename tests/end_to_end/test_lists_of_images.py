"""Rows and records that hold several images: runs, refreshes and what reads them again."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from pipelines import report, verify
from tests.support.runs import (
    contents,
    latest,
    read,
    read_failures,
    read_record,
    run_embed,
    run_refresh,
    solid,
    vectors_of,
)

Posts = dict[str, list[bytes | None] | None]


def write_posts(path: pathlib.Path, posts: Posts) -> None:
    images = pa.array(list(posts.values()), pa.list_(pa.binary()))
    pq.write_table(pa.table({"image_id": list(posts), "image": images}), path)


def colours(run: pathlib.Path) -> dict[str, int]:
    table = read(run)
    reds = (255 * vectors_of(table)[:, 0]).round().astype(int).tolist()
    return dict(zip(table["image_id"].to_pylist(), reds, strict=True))


def test_images_of_lists_are_computed_kept_and_looked_at(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    posts: Posts = {
        f"post{n}": [solid(20 * n + place, 0, 0) for place in range(n % 12)] for n in range(12)
    }
    posts |= {"bad": [solid(255, 0, 0), b"no image", None], "null": None}
    write_posts(tmp_path / "posts.parquet", posts)
    root = tmp_path / "root"
    argv = ["--input", str(tmp_path / "posts.parquet"), "--max_failed_fraction", "0.5"]
    argv += ["--batch_size", "4"]
    assert run_refresh(mean_color, root, *argv) == 0
    expected = {f"post{n}#{place}": 20 * n + place for n in range(12) for place in range(n)}
    assert colours(latest(root)) == expected | {"bad#0": 255}
    uris = dict(
        zip(*(read(latest(root))[name].to_pylist() for name in ("image_id", "uri")), strict=True)
    )
    assert uris["post11#10"] == f"{tmp_path}/posts.parquet#11.10"
    failures = {failure["image_id"]: failure["uri"] for failure in read_failures(latest(root))}
    assert failures == {
        "bad#1": f"{tmp_path}/posts.parquet#12.1",
        "bad#2": f"{tmp_path}/posts.parquet#12.2",
        "null": f"{tmp_path}/posts.parquet#13",
    }
    assert verify.main([str(latest(root))]) == 0
    assert report.main([str(latest(root)), "--output", str(tmp_path / "report.html")]) == 0
    assert (tmp_path / "report.html").read_text().count("data:image") > 3
    alike = tmp_path / "alike"
    assert run_embed(mean_color, alike, *argv, "--deduplicate") == 0
    plain = tmp_path / "plain"
    assert run_embed(mean_color, plain, *argv) == 0
    assert read(alike).select(["image_id", "uri"]) == read(plain).select(["image_id", "uri"])
    again = tmp_path / "again"
    assert run_embed(mean_color, again, *argv, "--direct_num_workers", "1") == 0
    assert contents(again) == contents(plain)

    posts["post11"] = [solid(220 + place, 0, 0) for place in range(3)]
    posts["bad"] = [solid(255, 0, 0), solid(254, 0, 0)]
    write_posts(tmp_path / "posts.parquet", posts)
    assert run_refresh(mean_color, root, *argv, "--max_deleted_fraction", "0.5") == 0
    changes = {name: n for name, n in read_record(latest(root))["changes"].items() if n}
    assert changes == {"unchanged": 59, "reused": 59, "retried": 2, "deleted": 9}
    assert verify.main([str(latest(root))]) == 0


def test_a_manifest_may_name_an_image_of_a_list(tmp_path: pathlib.Path, mean_color: str) -> None:
    write_posts(tmp_path / "posts.parquet", {"a": [solid(1, 0, 0), solid(2, 0, 0)], "b": []})
    names = [f"{tmp_path}/posts.parquet#0.1", f"{tmp_path}/posts.parquet#0.0"]
    (tmp_path / "list.txt").write_text("\n".join(names))
    argv = ["--manifest", str(tmp_path / "list.txt")]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert colours(tmp_path / "out") == {names[1]: 1, names[0]: 2}


def test_frames_of_videos_are_images(tmp_path: pathlib.Path, mean_color: str) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "videos.tfrecord"), "ZLIB") as writer:
        for video in range(3):
            frames = [
                tf.train.Feature(bytes_list=tf.train.BytesList(value=[solid(10 * video + n, 9, 9)]))
                for n in range(4)
            ]
            name = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"video%d" % video]))
            lists = {"frames": tf.train.FeatureList(feature=frames)}
            example = tf.train.SequenceExample(
                context=tf.train.Features(feature={"id": name}),
                feature_lists=tf.train.FeatureLists(feature_list=lists),
            )
            writer.write(example.SerializeToString())
    argv = ["--input", str(tmp_path / "videos.tfrecord"), "--image_key", "frames"]
    argv += ["--image_id_from", "id", "--carry_columns", "id=video"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert colours(tmp_path / "out") == {
        f"video{video}#{n}": 10 * video + n for video in range(3) for n in range(4)
    }
    assert read(tmp_path / "out")["video"].to_pylist()[0] == [b"video0"]
    assert verify.main([str(tmp_path / "out")]) == 0
