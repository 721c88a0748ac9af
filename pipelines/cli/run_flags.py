"""What the user may say of any run: every flag once, as a field of a frozen configuration."""

import dataclasses
from typing import Any

from pipelines.cli import box_flags, engine_flags, image_flags, listing_flags, read_flags
from pipelines.cli.flag import batch_size, check_directory, flag, image_size
from pipelines.cli.forecast_flags import PlanFlags
from pipelines.cli.launcher_flags import LauncherFlags
from transforms.errors import FlagError
from transforms.files.read_limits import ReadLimits
from transforms.images.policy import (
    DECODE_MODES,
    EXIF_POLICIES,
    INPUT_RANGES,
    INTERPOLATIONS,
    LIMITS,
    RESIZE_MODES,
    Preprocessing,
)
from transforms.models.engine_settings import ACTIVATIONS, AUTO
from transforms.records import ShardKind
from transforms.runs.formats import FORMATS

INPUT_FORMATS = (AUTO, *(kind.value for kind in ShardKind))

_POLICY = {field.name: field.default for field in dataclasses.fields(Preprocessing)}
_OF_THE_RUN = {"image_size", "dtype", *LIMITS}
_READ_LIMITS = ("max_reads", "max_read_memory", "storage_timeout")
_FROM_ONE = ("batch_size", "rows_per_file", "num_model_threads", *_READ_LIMITS)

NOTED = {
    **{name: value for name, value in _POLICY.items() if name not in _OF_THE_RUN},
    "box_margin": 0.0,
    "activation": ACTIVATIONS[0],
}
"""Flags that belong to a model, and what they are where neither the user nor its notes say."""


def noted_flag(name: str, help_text: str, group: str, **options: Any) -> Any:  # noqa: ANN401
    """Describes a flag that the model's notes may say; None until they have been read."""
    default = f"(default: the model's, else {NOTED[name]})"
    return flag(f"{help_text} {default}", group, **options)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(LauncherFlags):
    """The flags that embed and classify share; each field is the flag of its name."""

    input: tuple[str, ...] = flag(
        "image file or URL, directory (recursive), glob, .tfrecord[.gz], .parquet, .zip, "
        ".tar[.gz|.bz2|.xz|.zst]; also on gs://, s3://, az://",
        "input",
        (),
        metavar="URI",
        repeatable=True,
    )
    input_format: str = flag(
        "of the files, if neither names nor first bytes tell",
        "input",
        AUTO,
        choices=INPUT_FORMATS,
    )
    exclude: tuple[str, ...] = listing_flags.exclude()
    follow_links: bool = listing_flags.follow_links()
    manifest: tuple[str, ...] = listing_flags.manifest()
    uri_column: str | None = listing_flags.uri_column()
    allow_private_hosts: bool = flag("read URLs of private addresses, too", "input", False)
    image_key: str | None = flag(
        "feature, column or tar field of the image (default: image/encoded in TFRecord, image in "
        "Parquet, any image's extension in tar and zip)",
        "input",
        metavar="NAME",
    )
    image_id_from: str | None = listing_flags.image_id_from()
    carry_columns: tuple[str, ...] = read_flags.carry_columns()
    boxes: str | None = box_flags.boxes()

    model: str = flag(
        "SavedModel or .onnx; directory, .tar.gz, gs://, s3://, az://, tfhub.dev or kaggle.com "
        "URL. SavedModels are code: run what you trust",
        "model",
        "",
        metavar="HANDLE",
    )
    signature: str | None = flag(
        "signature or sub-callable to run, if the model has several", "model", metavar="NAME"
    )
    output_key: str | None = flag(
        "which of the model's outputs to take, if it has several", "model", metavar="NAME"
    )
    engine: str | None = engine_flags.engine()
    precision: str = engine_flags.precision()
    calibration_images: int | str = engine_flags.calibration_images()
    precision_floor: float | None = engine_flags.precision_floor()
    batch_size: int | str = flag(
        "images a model call, fewer where files come to 24 MiB, or auto: the fastest, measured on "
        "the first batches",
        "model",
        32,
        read=batch_size,
        metavar="N|auto",
    )
    num_model_threads: int | None = flag(
        "the engine's threads (default: one a core)", "model", read=int, metavar="N"
    )

    image_size: tuple[int, int] | None = flag(
        "pixels, SIDE or HEIGHTxWIDTH (default: what the model says)",
        "images",
        read=image_size,
        metavar="SIZE",
    )
    input_range: str | None = noted_flag(
        "input_range", "range of pixels that the model wants", "images", choices=INPUT_RANGES
    )
    resize_mode: str | None = noted_flag(
        "resize_mode", "squash, centred crop, or pad with black", "images", choices=RESIZE_MODES
    )
    crop_fraction: float | None = noted_flag(
        "crop_fraction", "with crop: share of the largest", "images", read=float, metavar="F"
    )
    interpolation: str | None = noted_flag(
        "interpolation", "how to resize", "images", choices=INTERPOLATIONS
    )
    antialias: bool | None = noted_flag(
        "antialias", "filter when making smaller, or not", "images", read=bool
    )
    exif: str | None = noted_flag(
        "exif", "turn photos upright, or not", "images", choices=EXIF_POLICIES
    )
    decode: str | None = noted_flag(
        "decode",
        "fast decodes large JPEG photos at 1/2 to 1/8 of their size; close to exact with "
        "--antialias",
        "images",
        choices=DECODE_MODES,
    )
    box_margin: float | None = box_flags.box_margin()
    color_profile: str | None = image_flags.color_profile()
    max_image_pixels: int = flag(
        "larger images fail, by their header",
        "images",
        _POLICY["max_image_pixels"],
        read=int,
        metavar="N",
    )
    max_image_bytes: int = flag(
        "larger files fail, unread", "images", _POLICY["max_image_bytes"], read=int, metavar="N"
    )
    max_image_seconds: int = image_flags.max_image_seconds()

    output_format: str = flag("file format", "output", "parquet", choices=FORMATS)
    image_statistics: bool = image_flags.image_statistics()
    rows_per_file: int = flag(
        "rows an output file holds; small files stay whole",
        "output",
        10_000,
        read=int,
        metavar="N",
    )
    max_reads: int = read_flags.max_reads()
    max_read_memory: int = read_flags.max_read_memory()
    storage_timeout: int = read_flags.storage_timeout()
    deduplicate: bool = flag(
        "give the model equal images once; listed images are read twice", "run", False
    )
    inference_hints: tuple[str, ...] = flag(
        "resource hints of all from reading to writing: min_ram=16GB, "
        "'accelerator=type:nvidia-l4;count:1;install-nvidia-driver'",
        "run",
        (),
        metavar="NAME=VALUE",
        repeatable=True,
    )
    resume: bool = flag(
        "go on where a run that died stopped; start one if there is none", "run", False
    )
    overwrite: bool = flag(
        "replace the run in --output once this is done; drop one that died", "run", False
    )
    max_failed_fraction: float = flag(
        "publish only if no larger share of images failed", "run", 0.1, read=float, metavar="F"
    )
    allow_truncated_files: bool = flag(
        "publish although a TFRecord, Parquet, tar or zip file ends early", "run", False
    )
    canaries: str | None = flag(
        "directory of a few images; publish only if answered as expected", "run", metavar="DIR"
    )
    canary_threshold: float = flag(
        "smallest cosine of a canary's answer to the expected",
        "run",
        0.9999,
        read=float,
        metavar="C",
    )
    write_canaries: bool = flag(
        "make this run's answers to the --canaries the expected ones", "run", False
    )

    def __post_init__(self, given: frozenset[str]) -> None:
        super().__post_init__(given)
        if not self.input and not self.manifest and not self.names_inputs_otherwise:
            raise FlagError("nothing to read: give --input or --manifest")
        if not self.model and not self.names_inputs_otherwise:
            raise FlagError("--model is required")
        for name in _FROM_ONE:
            value = getattr(self, name)
            if value not in (None, AUTO) and value < 1:
                raise FlagError(f"--{name} must be at least 1, got {value}")
        for name in ("max_failed_fraction", "canary_threshold"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise FlagError(f"--{name} must be from 0 to 1, got {value:g}")
        listing_flags.check_lists(self.input, self.manifest, self.uri_column, self.image_id_from)
        if self.write_canaries and self.canaries is None:
            raise FlagError("--write_canaries needs --canaries, the directory of their images")
        engine_flags.check_engine(self)
        read_flags.check_carried(self.carry_columns)
        box_flags.check_boxes(self.boxes, self.box_margin, self.image_id_from)

    @property
    def names_inputs_otherwise(self) -> bool:
        """Whether what to read is known without --input and --manifest."""
        return False

    @property
    def needs_inputs(self) -> bool:
        """Whether --input and --manifest must be there: for images, or what else they tell."""
        return not self.names_inputs_otherwise or bool(self.carry_columns or self.boxes)

    @property
    def carried_from(self) -> tuple[str, ...]:
        """Names that the carried columns have in the inputs: width of width=w."""
        return tuple(read_flags.carried_names(self.carry_columns))

    @property
    def carried_as(self) -> tuple[str, ...]:
        """Names that they get in the output, in the same order: w of width=w."""
        return tuple(read_flags.carried_names(self.carry_columns).values())

    @property
    def read_limits(self) -> ReadLimits:
        """What reading from remote stores may take."""
        return ReadLimits(*(getattr(self, name) for name in _READ_LIMITS))

    @property
    def told_kind(self) -> ShardKind | None:
        """What --input_format says of every file; None if each is looked at."""
        return None if self.input_format == AUTO else ShardKind(self.input_format)

    def uses(self, flag: str) -> bool:
        """Whether a flag has any effect; refresh has those of two programs."""
        return flag != "box_margin" or self.boxes is not None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SingleRunConfig(PlanFlags, RunConfig):
    """The flags of a program that writes one run."""

    output: str = flag("directory for the run, empty or new", "output", "", metavar="DIR")
    retry_failed: str | None = flag(
        "a new run of an earlier one's rows, its failures computed again",
        "input",
        metavar="RUN",
    )

    def __post_init__(self, given: frozenset[str]) -> None:
        super().__post_init__(given)
        self.check_plan()
        check_directory("output", self.output)
        if self.retry_failed is not None and self.deduplicate:
            raise FlagError("--deduplicate does nothing with --retry_failed; drop it")
        if self.retry_failed is not None and self.plan:
            raise FlagError(
                "--plan says nothing of --retry_failed: that run's _failures.jsonl does"
            )

    @property
    def names_inputs_otherwise(self) -> bool:
        """Whether an earlier run says what to read."""
        return self.retry_failed is not None
