"""What the user may say to pipelines.evaluate."""

import dataclasses

from pipelines.cli.flag import OPTIONS, argument, flag
from pipelines.cli.outcome import JsonFlags
from pipelines.cli.train_flags import PARENT_DIR
from transforms.errors import FlagError


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(JsonFlags):
    """The flags of pipelines.evaluate."""

    run: str = argument(
        "a run of pipelines.classify or embed, or a refresh's --output_root: then the run that "
        "LATEST names",
        "RUN",
    )
    labels_csv: str | None = flag(
        "a list, as csv, JSON or Parquet, with the columns image_id, or uri, and label",
        OPTIONS,
        metavar="URI",
    )
    label_from: str = flag(
        "where labels are without --labels_csv: parent_dir, the name of the directory that an "
        "image is in, or a carried column",
        OPTIONS,
        PARENT_DIR,
        metavar="FROM",
    )
    compare: str | None = flag(
        "another run, judged by the same labels on the images that both have",
        OPTIONS,
        metavar="RUN_B",
    )
    assert_accuracy_at_least: float | None = flag(
        "exit with 1 if RUN's accuracy is lower: that of the best class, or of the nearest image",
        OPTIONS,
        read=float,
        metavar="A",
    )
    output: str = flag("the page", OPTIONS, "evaluation.html", metavar="FILE")

    def __post_init__(self) -> None:
        if self.labels_csv is not None and self.label_from != PARENT_DIR:
            raise FlagError("--label_from and --labels_csv both say the labels; give one")
        wanted = self.assert_accuracy_at_least
        if wanted is not None and not 0 <= wanted <= 1:
            raise FlagError(f"--assert_accuracy_at_least must be from 0 to 1, got {wanted:g}")
