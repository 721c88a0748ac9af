"""The rows of published runs with their labels: read, split, and gathered to train on."""

import time
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.console import Console

from pipelines.cli.bars import counting_bar
from pipelines.cli.train_flags import PARENT_DIR, TrainConfig
from pipelines.cli.wording import say
from pipelines.training.train_report import describe_classes
from transforms.boxes import image_of_box
from transforms.runs.embedding_runs import EmbeddingRuns, check_unique
from transforms.runs.row_labels import labels_of_column, labels_of_directories
from transforms.schemas import IMAGE_ID, URI
from transforms.training.class_labels import ClassLabels, encode_labels, labels_of_csv
from transforms.training.hash_split import check_split, is_validation
from transforms.training.rows import TrainingRows, gather_rows


class LabelledRuns(NamedTuple):
    """Runs, and what is known of their rows.

    Attributes:
        runs: The vectors.
        labels: Classes of the vectors, one row a vector.
        is_validation: bool [rows], true for a row that validates.
    """

    runs: EmbeddingRuns
    labels: ClassLabels
    is_validation: npt.NDArray[np.bool_]

    @property
    def training_counts(self) -> npt.NDArray[np.int64]:
        """Images of each class to train with: int64 [classes]."""
        return self.labels.select(self.labels.is_labelled & ~self.is_validation).count()

    @property
    def validation_counts(self) -> npt.NDArray[np.int64]:
        """Images of each class that validate: int64 [classes]."""
        return self.labels.select(self.labels.is_labelled & self.is_validation).count()


def label_runs(runs: EmbeddingRuns, config: TrainConfig) -> LabelledRuns:
    """Reads the labels of all rows, and which rows validate.

    Raises:
        InputError: If a label cannot be used, or a class is without images on one side.
    """
    by_directory = config.label_from == PARENT_DIR
    column = URI if by_directory else config.label_from
    table = runs.read_columns(list(dict.fromkeys([IMAGE_ID, column, config.split_by])))
    say("vectors", f"{table.num_rows:,} of {', '.join(run.directory for run in runs.runs)}")
    check_unique(table[IMAGE_ID])
    if config.labels_csv is not None:
        names, note = labels_of_csv(config.labels_csv, table[IMAGE_ID])
        if note:
            say("ignored", note)
    elif by_directory:
        names = labels_of_directories(table[URI])
    else:
        names = labels_of_column(table[column])
    labels = encode_labels(names, exclusive=config.activation == "softmax")
    if without := int((~labels.is_labelled).sum()):
        first = table[IMAGE_ID][int(labels.is_labelled.argmin())]
        say("ignored", f"{without:,} images have no label, such as {first}")
    say("classes", describe_classes(labels.names, labels.count()))
    fraction = config.validation_fraction
    keys = table[config.split_by]
    if config.split_by == IMAGE_ID and runs.box_names:  # Boxes of one image stay together.
        images = [image_of_box(key) for key in keys.to_pylist()]
        keys = pa.chunked_array([images], pa.large_string())
    labelled = LabelledRuns(runs, labels, is_validation(keys, fraction))
    check_split(labels.names, labelled.training_counts, labelled.validation_counts, fraction)
    return labelled


def gather(labelled: LabelledRuns, scratch: str, console: Console) -> TrainingRows:
    """Reads the vectors, once.

    Raises:
        UserError: If a vector cannot be read, or the disk has no room.
    """
    started = time.perf_counter()
    with counting_bar("reading", len(labelled.is_validation), "vectors", console) as advance:
        rows = gather_rows(
            labelled.runs,
            labelled.labels,
            labelled.is_validation,
            scratch,
            advance,
        )
    say(
        "split",
        f"{rows.training.rows:,} to train, {rows.validation.rows:,} to validate, of "
        f"{rows.training.dim:,} numbers; read in {time.perf_counter() - started:.1f} s",
    )
    return rows
