"""What the user may say to pipelines.train_classifier."""

import dataclasses

from pipelines.cli.flag import check_directory, flag
from pipelines.cli.outcome import JsonFlags
from transforms.errors import FlagError

PARENT_DIR = "parent_dir"
CLASS_WEIGHTS = ("none", "balanced")
TRAINED_ACTIVATIONS = ("softmax", "sigmoid")
AUGMENTATIONS = ("flip_and_crop", "crop", "none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(JsonFlags):
    """The flags of pipelines.train_classifier; each field is the flag of its name."""

    embeddings: tuple[str, ...] = flag(
        "published run of pipelines.embed, or a refresh's --output_root; repeatable",
        "input",
        (),
        metavar="RUN",
        repeatable=True,
    )
    label_from: str = flag(
        "parent_dir, the name of the directory that an image is in, or a carried column; of a list "
        "every entry is a label",
        "input",
        PARENT_DIR,
        metavar="FROM",
    )
    labels_csv: str | None = flag(
        "csv with the columns image_id and label, instead; several lines an image may be",
        "input",
        metavar="URI",
    )
    model: str | None = flag(
        "the feature-vector model, if it is no longer where the run found it",
        "input",
        metavar="HANDLE",
    )
    split_by: str = flag(
        "column whose hash says whether an image validates: images with one value stay together; "
        "content_sha256 keeps copies together",
        "split",
        "image_id",
        metavar="COLUMN",
    )
    validation_fraction: float = flag(
        "share of the images to validate with, about", "split", 0.2, read=float, metavar="F"
    )
    activation: str = flag(
        "softmax if classes exclude each other, sigmoid if not",
        "training",
        TRAINED_ACTIVATIONS[0],
        choices=TRAINED_ACTIVATIONS,
    )
    l2: float = flag(
        "weight of the squared weights in the loss", "training", 1e-4, read=float, metavar="W"
    )
    label_smoothing: float = flag(
        "share of a target that is spread over all classes",
        "training",
        0.0,
        read=float,
        metavar="F",
    )
    class_weights: str = flag(
        "balanced: images count by the inverse of their class's number",
        "training",
        CLASS_WEIGHTS[0],
        choices=CLASS_WEIGHTS,
    )
    epochs: int = flag(
        "most passes over the training images", "training", 100, read=int, metavar="N"
    )
    patience: int = flag(
        "passes without a smaller validation loss before training ends",
        "training",
        5,
        read=int,
        metavar="N",
    )
    batch_size: int | None = flag(
        "images a step (default: a fiftieth of the training images, from 64 to 2,048)",
        "training",
        read=int,
        metavar="N",
    )
    learning_rate: float = flag(
        "of Adam, at first; it falls when the validation loss does not",
        "training",
        0.01,
        read=float,
        metavar="R",
    )
    seed: int = flag("of the order of the images", "training", 0, read=int, metavar="N")
    fine_tune: bool = flag(
        "then train the model itself together with the classifier, on the images, read again",
        "fine-tuning",
        False,
    )
    fine_tune_epochs: int = flag(
        "most passes over the training images; --patience holds here, too",
        "fine-tuning",
        10,
        read=int,
        metavar="N",
    )
    fine_tune_batch_size: int = flag(
        "images a step: more take more memory", "fine-tuning", 32, read=int, metavar="N"
    )
    body_learning_rate: float = flag(
        "of Adam for the model, at first; the classifier goes on at a tenth of --learning_rate",
        "fine-tuning",
        3e-5,
        read=float,
        metavar="R",
    )
    augmentation: str = flag(
        "how training images are changed at random: mirrored, and cut to 0.7 of their area or more",
        "fine-tuning",
        AUGMENTATIONS[0],
        choices=AUGMENTATIONS,
    )
    model_arguments: tuple[str, ...] = flag(
        "what the model is passed in training, such as batch_norm_momentum=0.9; inspect_model "
        "lists its hyperparameters",
        "fine-tuning",
        (),
        metavar="NAME=VALUE",
        repeatable=True,
    )
    output: str = flag("directory for the classifier, empty or new", "output", "", metavar="DIR")
    assert_accuracy_at_least: float | None = flag(
        "with a lower validation accuracy nothing is written, and the exit code is 1",
        "output",
        read=float,
        metavar="A",
    )

    def __post_init__(self) -> None:
        if not self.embeddings:
            raise FlagError("nothing to train on: give --embeddings")
        for handle in self.embeddings:
            check_directory("embeddings", handle)
        check_directory("output", self.output)
        if self.labels_csv is not None and self.label_from != PARENT_DIR:
            raise FlagError("--label_from and --labels_csv both say the labels; give one")
        if not self.fine_tune:
            for field in dataclasses.fields(self):
                is_given = getattr(self, field.name) != field.default
                if field.metadata["group"] == "fine-tuning" and is_given:
                    raise FlagError(f"--{field.name} does nothing without --fine_tune")
        for name in (
            "epochs",
            "patience",
            "batch_size",
            "fine_tune_epochs",
            "fine_tune_batch_size",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise FlagError(f"--{name} must be at least 1, got {value}")
        if not 0 < self.validation_fraction < 1:
            raise FlagError(
                f"--validation_fraction must be between 0 and 1, got {self.validation_fraction:g}"
            )
        if not 0 <= self.label_smoothing < 1:
            raise FlagError(
                f"--label_smoothing must be at least 0 and below 1, got {self.label_smoothing:g}"
            )
        if not self.l2 >= 0:
            raise FlagError(f"--l2 must be at least 0, got {self.l2:g}")
        for name in ("learning_rate", "body_learning_rate"):
            if not (value := getattr(self, name)) > 0:
                raise FlagError(f"--{name} must be over 0, got {value:g}")
        for text in self.model_arguments:
            if not text.partition("=")[0] or "=" not in text:
                raise FlagError(f"--model_arguments are NAME=VALUE, got {text}")
        if self.seed < 0:
            raise FlagError(f"--seed must be at least 0, got {self.seed}")
        wanted = self.assert_accuracy_at_least
        if wanted is not None and not 0 <= wanted <= 1:
            raise FlagError(f"--assert_accuracy_at_least must be from 0 to 1, got {wanted:g}")
