"""Times the pipeline against its peers on the same photos; see docs/benchmarks.md.

Without a mode: speed, of every contender, on every model and size of photos. Needs Linux, no
download, and for all contenders pip install '.[openvino,benchmark]' and Java; who is missing is
skipped.
"""

import argparse
import pathlib
import sys
import tempfile
from collections.abc import Sequence

from scripts.benchmarks import changes, crops, growth, one_pass, overhead, storage, threads
from scripts.benchmarks.measure import run_module
from scripts.benchmarks.photos import make_photos
from scripts.benchmarks.registry import (
    CALIBRATION,
    CALIBRATION_PHOTOS,
    CONTENDERS,
    DOFN,
    OURS,
    choose_contenders,
)
from scripts.benchmarks.report import write_report
from scripts.benchmarks.speed import WARM_UP_IMAGES, Results, run_rounds
from scripts.benchmarks.start_up import measure_start_up
from scripts.benchmarks.tables import print_results
from scripts.benchmarks.targets import Target, find_targets, print_targets

MODELS = ("mobilenetv2", "resnet50", "efficientnetv2b0")
PHOTO_SIZES = ("small", "large")
ONLY_LARGE = ("ours_openvino_bfloat16_fast",)
LARGE_MODELS = ("ResNet50", "ConvNeXtTiny", "vision transformer")
OWN = "own"
DECODED = {"small": 64, "large": 16, OWN: 64}


def measure_speed(data: pathlib.Path, arguments: argparse.Namespace) -> int:
    """Runs the contenders and prints tables as they are ready, then the targets."""
    sizes = (OWN,) if arguments.photos else arguments.photo_sizes
    counts = dict.fromkeys(sizes, arguments.images)
    if "large" in counts:
        counts["large"] = arguments.large_images
    make_models(data, arguments.models)
    contenders = choose_contenders(arguments.contenders)
    if any("calibration_images" in contender.arguments for contender in contenders.values()):
        make_photos("small", data / CALIBRATION, (CALIBRATION_PHOTOS,))
    results: list[Results] = []
    targets: list[Target] = []
    for photos, images in counts.items():
        make_photos(photos, data / photos, (WARM_UP_IMAGES, images), own=arguments.photos)
        taking_part = {
            name: contender
            for name, contender in contenders.items()
            if photos == "large" or name not in ONLY_LARGE
        }
        for model in arguments.models:
            result = run_rounds(
                taking_part,
                data,
                model=model,
                photos=photos,
                images=images,
                rounds=arguments.rounds,
            )
            print_results(result, images)
            results.append(result)
            targets += find_targets(result)
            if arguments.json:
                write_report(arguments.json, vars(arguments), results, targets)
    print_targets(targets)
    return 0


def measure_inference_step(data: pathlib.Path, photos: str, arguments: argparse.Namespace) -> int:
    """Runs the pipeline with RunInference and with a plain DoFn."""
    models = (MODELS[0], "tiny")
    make_models(data, models)
    contenders = choose_contenders((OURS, DOFN))
    for model in models:
        result = run_rounds(
            contenders,
            data,
            model=model,
            photos=photos,
            images=arguments.images,
            rounds=arguments.rounds,
        )
        print_results(result, arguments.images)
    return 0


def measure_decoding(data: pathlib.Path, arguments: argparse.Namespace) -> int:
    """Times decoders on drawn photos of both sizes, and on the user's."""
    names = (*PHOTO_SIZES, OWN) if arguments.photos else PHOTO_SIZES
    for name in names:
        own = arguments.photos if name == OWN else None
        make_photos(name, data / name, (DECODED[name],), own=own)
    directories = [data / name / str(DECODED[name]) for name in names]
    print(run_module("decode", arguments.rounds, *directories))
    return 0


def measure_first_layers(data: pathlib.Path, rounds: int) -> int:
    """Prints which ranges are named, and what that costs; returns 1 if one is wrong or slow."""
    run_module("zoo", data / "zoo")
    table = run_module("doctor", data / "zoo")
    print(table)
    large = {name: data / "zoo" / name for name in LARGE_MODELS}
    return int("WRONG" in table) | measure_start_up(large, rounds)


def make_models(data: pathlib.Path, names: Sequence[str]) -> None:
    """Makes models in a process of its own: TensorFlow is not imported here."""
    run_module("models", data / "models", *names)


def measure(data: pathlib.Path, arguments: argparse.Namespace) -> int:
    """Makes the data of a mode and measures; returns the exit code."""
    photos = OWN if arguments.photos else "small"

    def make(*counts: int) -> None:
        make_photos(photos, data / photos, counts, own=arguments.photos)

    if arguments.growth:
        make_models(data, ("tiny",))
        make(*growth.IMAGES)
        return growth.measure_growth(data, photos)
    if arguments.overhead:
        make_models(data, ("do_nothing",))
        make(WARM_UP_IMAGES, overhead.IMAGES)
        return overhead.measure_overhead(data, photos, arguments.rounds)
    if arguments.threads:
        make_models(data, (threads.MODEL,))
        make_photos(threads.PHOTOS, data / threads.PHOTOS, (WARM_UP_IMAGES, threads.IMAGES))
        return threads.measure_threads(data, arguments.rounds)
    if arguments.crops:
        make_models(data, (crops.MODEL,))
        make(crops.FEW_PHOTOS, crops.PHOTOS)
        return crops.measure_crops(data, photos, arguments.rounds)
    if arguments.decode:
        return measure_decoding(data, arguments)
    if arguments.inference_step:
        make(WARM_UP_IMAGES, arguments.images)
        return measure_inference_step(data, photos, arguments)
    if arguments.refresh:
        make_models(data, (changes.MODEL, changes.CHEAP_MODEL))
        make(changes.CHANGED_IMAGES)
        return changes.measure_changed(data, photos, arguments.rounds)
    if arguments.first_layers:
        return measure_first_layers(data, arguments.rounds)
    if arguments.storage:
        return storage.measure_storage(data, arguments.rounds)
    if arguments.one_pass:
        make_models(data, tuple(one_pass.PROGRAMS))
        counts = {"small": arguments.images, "large": arguments.large_images}
        for size, count in counts.items():
            make_photos(size, data / size, (count,))
        return one_pass.measure_one_pass(data, counts, arguments.rounds)
    if arguments.unchanged:
        make_models(data, (changes.CHEAP_MODEL,))
        return changes.measure_unchanged(data)
    return measure_speed(data, arguments)


def make_parser() -> argparse.ArgumentParser:
    """Says what the command line may hold."""
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description=__doc__)
    add = parser.add_argument
    add("--photos", type=pathlib.Path, help="directory of JPEG files to use; else drawn ones")
    add("--photo_sizes", nargs="+", choices=PHOTO_SIZES, default=PHOTO_SIZES, help="(default both)")
    add("--models", nargs="+", choices=MODELS, default=list(MODELS), help="(default all)")
    add("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME",
        help=f"(default all) {' '.join(CONTENDERS)}")  # fmt: skip
    add("--images", type=int, default=1000, help="photos a run (default 1000)")
    add("--large_images", type=int, default=200, help="large photos a run (default 200)")
    add("--rounds", type=int, default=5, help="(default 5)")
    add("--json", type=pathlib.Path, metavar="FILE", help="where to write all figures of speed")
    modes = parser.add_mutually_exclusive_group()
    for name, description in (
        ("growth", "speed and memory from 1,000 to 50,000 images"),
        ("overhead", "what the pipeline itself costs, with a model that does nothing"),
        ("threads", "the same with 1 to 16 threads, on tiny photos"),
        ("decode", "decoders alone"),
        ("crops", "five boxes of each photo, beside ready crops"),
        ("inference_step", "RunInference or a DoFn"),
        ("refresh", "a refresh with 1 %% changed"),
        ("unchanged", "a refresh of a million rows"),
        ("first_layers", "which --input_range is named for models of which it is known"),
        ("storage", "reading from a store that is late, uneven or faulty"),
        ("one_pass", "three models in one pass, and one after the other"),
    ):
        modes.add_argument(f"--{name}", action="store_true", help=description)
    return parser


def main() -> int:
    """Reads the flags, measures, prints."""
    parser = make_parser()
    arguments = parser.parse_args()
    if min(arguments.images, arguments.large_images) <= WARM_UP_IMAGES or arguments.rounds < 1:
        parser.error(
            f"needs --images and --large_images over {WARM_UP_IMAGES} and --rounds of at least 1"
        )
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        return measure(pathlib.Path(directory), arguments)


if __name__ == "__main__":
    sys.exit(main())
