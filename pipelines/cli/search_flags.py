"""What the user may say to pipelines.search."""

import dataclasses

from pipelines.cli.flag import OPTIONS, argument, flag
from pipelines.cli.outcome import JsonFlags
from transforms.errors import FlagError

_MAX_TOP_K = 1000
"""The page holds a picture of each."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchConfig(JsonFlags):
    """The flags of pipelines.search."""

    run: str = argument(
        "a run of pipelines.embed, or a refresh's --output_root: then the run that LATEST names",
        "RUN",
    )
    image: tuple[str, ...] = flag(
        "image to look for, of any file system; repeatable",
        OPTIONS,
        (),
        metavar="FILE",
        repeatable=True,
    )
    image_id: tuple[str, ...] = flag(
        "image of the run to look for, by its image_id; needs no model; repeatable",
        OPTIONS,
        (),
        metavar="ID",
        repeatable=True,
    )
    top_k: int = flag("images to find for each", OPTIONS, 10, read=int, metavar="N")
    model: str | None = flag(
        "the run's model, if it is no longer where the run found it", OPTIONS, metavar="HANDLE"
    )
    exact: bool = flag("compare with every vector, also if there is an index", OPTIONS, False)
    index: str | None = flag(
        "where pipelines.index put the index (default RUN.index)", OPTIONS, metavar="DIR"
    )
    output: str = flag("the page", OPTIONS, "search.html", metavar="FILE")
    export_projector: str | None = flag(
        "write vectors, names and small pictures of at most 10,000 images into an empty or new "
        "directory, for TensorBoard's Embedding Projector",
        OPTIONS,
        metavar="DIR",
    )

    def __post_init__(self) -> None:
        if not (self.image or self.image_id or self.export_projector):
            raise FlagError("say what to look for: --image FILE or --image_id ID")
        if not 1 <= self.top_k <= _MAX_TOP_K:
            raise FlagError(f"--top_k must be from 1 to {_MAX_TOP_K:,}, got {self.top_k:,}")
        if self.exact and self.index:
            raise FlagError("--exact does not use --index; drop one")
        if self.model and not self.image:
            raise FlagError("--model does nothing without --image; drop it")
