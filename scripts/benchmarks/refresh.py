"""Times a refresh: against a full run when 1 % changed, and over a million rows when nothing did.

usage: python -m scripts.benchmarks.refresh changed DATA PHOTOS MODEL | unchanged DATA ROWS
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np

CHANGED_SHARE = 0.01
EMBEDDING_DIM = 1280
FILES_A_DIRECTORY = 1000


def run_program(program: str, *argv: object) -> dict[str, float]:
    """Runs a program as a user does, in a fresh process; returns seconds and peak memory."""
    command = [sys.executable, "-m", f"pipelines.{program}", *map(str, argv)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)  # Of this child alone.
    if status:
        sys.exit(f"{program} failed")
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
    }


def measure_changed(data: pathlib.Path, linked: pathlib.Path, model: str) -> dict[str, object]:
    """Makes a first run, changes 1 % of the images, refreshes, and runs in full for comparison."""
    from scripts.benchmarks.photos import SIZES, write_photo

    photos, root = data / f"photos-{model}", data / f"root-{model}"
    shutil.copytree(linked, photos, copy_function=os.link)
    images = len(os.listdir(photos))
    flags = ["--input", photos, "--model", data / "models" / model]
    first = run_program("refresh", *flags, "--output_root", root)
    random = np.random.default_rng(1)
    for number in random.choice(images, round(images * CHANGED_SHARE), replace=False):
        path = photos / f"{number:06d}.jpg"
        path.unlink()  # One name of a file that has many.
        write_photo(random, SIZES["small"], path)
    refreshed = run_program("refresh", *flags, "--output_root", root)
    full = run_program("embed", *flags, "--output", data / f"full-{model}")
    run = root / (root / "LATEST").read_text().strip()
    changes = json.loads((run / "_run.json").read_text())["changes"]
    wanted = round(images * CHANGED_SHARE)
    if (changes["changed"], changes["unchanged"]) != (wanted, images - wanted):
        sys.exit(f"wrong refresh: {changes}")
    for path in (photos, root, data / f"full-{model}"):
        shutil.rmtree(path)
    return {"first": first, "refresh": refreshed, "full": full}


def measure_unchanged(data: pathlib.Path, rows: int) -> dict[str, object]:
    """Refreshes a synthetic run over a listing of as many empty files, none of which changed."""
    photos, root = data / f"listing-{rows}", data / f"root-{rows}"
    for start in range(0, rows, FILES_A_DIRECTORY):
        directory = photos / f"{start // FILES_A_DIRECTORY:05d}"
        directory.mkdir(parents=True)
        for number in range(start, min(start + FILES_A_DIRECTORY, rows)):
            os.close(os.open(directory / f"{number:07d}.jpg", os.O_CREAT | os.O_WRONLY))
    model = data / "models" / "tiny"
    flags = ["--input", str(photos), "--model", str(model), "--output_root", str(root)]
    subprocess.run(
        [sys.executable, "-m", "scripts.benchmarks.refresh", "synthesize", *flags], check=True
    )
    figures = run_program("refresh", *flags)
    run = root / (root / "LATEST").read_text().strip()
    record = json.loads((run / "_run.json").read_text())
    if record["changes"]["unchanged"] != rows or record["inferences_saved"] != rows:
        sys.exit(f"wrong refresh: {record['changes']}")
    size = sum(entry["size_bytes"] for entry in record["files"])
    shutil.rmtree(photos)
    shutil.rmtree(root)
    return {**figures, "files": len(record["files"]), "size_bytes": size}


def synthesize(argv: list[str]) -> None:
    """Publishes a run of random vectors over what is listed, as if a model had made them."""
    import datetime

    import pyarrow as pa

    from pipelines.cli.parser import parse_flags
    from pipelines.cli.refresh_flags import RefreshConfig
    from pipelines.embed import embedding_outputs
    from pipelines.running.launch import prepare_launch
    from pipelines.running.launched_model import footer_metadata
    from pipelines.running.noted_flags import with_model_notes
    from transforms.batches import OutputRows
    from transforms.inputs.entries import ImageFile
    from transforms.inputs.listing import list_source
    from transforms.lifecycle.publication import Publication
    from transforms.models.handle import resolve_model
    from transforms.records import ImageRef, Shard, ShardKey, ShardKind
    from transforms.runs.recipe import fingerprint_shard
    from transforms.runs.root import RunRoot
    from transforms.runs.sharding import count_shards, shard_index
    from transforms.schemas import embedding_schema
    from transforms.steps.match_inputs import to_image_ref
    from transforms.steps.publish import publish_run
    from transforms.steps.write_shards import ShardFile, StagingTarget

    config, _ = parse_flags(RefreshConfig, argv, program="synthesize", description="")
    model_dir = resolve_model(config.model)
    config = with_model_notes(config, model_dir)
    launch = prepare_launch(config, model_dir, program="embed", make_outputs=embedding_outputs)
    listed = (found for source in launch.sources for found in list_source(source))
    refs = [
        to_image_ref(found, None, launch.columns.stored)
        for found in listed
        if isinstance(found, ImageFile)
    ]
    count = count_shards(len(refs), config.rows_per_file)
    members: list[list[ImageRef]] = [[] for _ in range(count)]
    for ref in refs:
        members[shard_index(ref.image_id, count)].append(ref)
    root = RunRoot(config.output_root)
    os.makedirs(root.staging)
    metadata = footer_metadata(launch.model, launch.policy, launch.engine)
    schema = embedding_schema(EMBEDDING_DIM, "float32", pa.schema([]), metadata)
    target = StagingTarget(
        staging=root.staging, output_format="parquet", carried=pa.schema([]), digests=False
    )
    random = np.random.default_rng(0)
    results = []
    for index, shard_refs in enumerate(members):
        shard_refs.sort(key=lambda ref: ref.image_id)
        shard = Shard(ShardKey(index, count), ShardKind.IMAGES, tuple(shard_refs))
        fingerprint = fingerprint_shard(launch.base_fingerprint, shard)
        normal = random.standard_normal((len(shard_refs), EMBEDDING_DIM), np.float32)
        vectors = np.maximum(normal, 0)
        ids = pa.array([ref.image_id for ref in shard_refs])
        columns = {
            "image_id": ids,
            "uri": ids,
            "embedding": pa.FixedSizeListArray.from_arrays(
                vectors.reshape(-1), type=schema.field("embedding").type
            ),
            "width": pa.array(np.full(len(shard_refs), 500, np.int32)),
            "height": pa.array(np.full(len(shard_refs), 375, np.int32)),
            "content_sha256": pa.array([random.bytes(32).hex() for _ in shard_refs]),
        }
        rows = pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
        batch = OutputRows(
            shard=shard.key,
            index=0,
            is_last=True,
            matched=rows.num_rows,
            rows=rows,
            plan=Shard(shard.key, shard.kind, shard.refs, fingerprint=fingerprint),
        )
        file = ShardFile(target, batch)
        file.write(batch)
        results.append(file.close())
    publication = Publication(
        run_id="synthetic",
        started_at="",
        output=root.next_run(datetime.datetime.now(datetime.UTC)),
        staging=root.staging,
        stem="embeddings",
        output_format="parquet",
        max_failed_fraction=0,
        root=root,
        description=launch.description,
    )
    publish_run(results, [], publication)


def main(argv: list[str]) -> None:
    """Does what the first argument says and prints the figures as JSON."""
    what, *rest = argv
    if what == "synthesize":
        synthesize(rest)
        return
    data = pathlib.Path(rest[0])
    figures = (
        measure_changed(data, pathlib.Path(rest[1]), rest[2])
        if what == "changed"
        else measure_unchanged(data, int(rest[1]))
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
