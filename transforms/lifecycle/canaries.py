"""Canaries: known images whose answers a run must give again before it is published."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from transforms.errors import FlagError, InputError, RunError
from transforms.files.atomic_files import read_whole, write_whole
from transforms.files.file_systems import FileSystems
from transforms.inputs.columns import image_id
from transforms.inputs.entries import ImageFile, Unlisted
from transforms.inputs.listing import classify_input, list_source
from transforms.records import CANARIES, ImageRef, Shard, ShardKind
from transforms.results import ShardResult
from transforms.runs.data_file import iter_rows
from transforms.runs.inputs_file import read_inputs
from transforms.schemas import CLASS_INDEX, EMBEDDING, IMAGE_ID, SCORE

EXPECTED_FILE = "expected.json"
MOVED_SHOWN = 5

Answer = Mapping[str, float]
"""An image's numbers by their place: of the vector, or of the class, which are few of many."""


def canary_shard(directory: str) -> Shard:
    """Lists the canaries.

    Raises:
        InputError: If the directory cannot be listed or holds no image.
    """
    try:
        source = classify_input(directory)
    except InputError as error:
        raise InputError(str(error).replace("--input", "--canaries", 1)) from error
    listed = list(list_source(source))
    if closed := [found for found in listed if isinstance(found, Unlisted)]:
        raise InputError(f"--canaries: {closed[0].uri} cannot be listed: {closed[0].reason}")
    refs = [
        ImageRef(image_id(found.uri, found.root, "relative_path"), found.uri)
        for found in listed
        if isinstance(found, ImageFile)
    ]
    if not refs:
        raise InputError(f"--canaries {directory} holds no image")
    return Shard(CANARIES, ShardKind.IMAGES, tuple(sorted(refs, key=lambda ref: ref.image_id)))


@dataclasses.dataclass(frozen=True)
class CanaryGate:
    """What stands between a run and its publication.

    Attributes:
        directory: Folder of the images and EXPECTED_FILE.
        threshold: Smallest cosine between an answer and the expected one; see `scale_of`.
        stem: Content of the data files.
        writes: Whether the run's own answers become the expected ones.
    """

    directory: str
    threshold: float
    stem: str
    writes: bool

    def check_expected(self, shard: Shard) -> None:
        """Checks at launch that there is something to compare with.

        Raises:
            FlagError: If the expected answers are not those of these images.
        """
        if self.writes:
            return
        expected = self._read_expected()
        ids = {ref.image_id for ref in shard.refs}
        if odd := sorted(ids ^ expected.keys()):
            raise FlagError(
                f"--canaries {self.directory}: {odd[0]!r} is among the images or the expected "
                "answers, and not among both; write them anew with --write_canaries"
            )

    def pass_or_raise(self, result: ShardResult) -> None:
        """Compares the run's answers with the expected ones, or makes them these.

        They are kept before the run is visible: one that is published needs nothing more.

        Args:
            result: The shard of canaries.

        Raises:
            RunError: If a canary moved or failed, or the answers cannot be written; nothing is
                published.
        """
        if result.failed:
            failure = read_inputs(result.inputs.path)[1][0]
            raise RunError(
                f"canary {failure.image_id} failed ({failure.step}/{failure.error_type}: "
                f"{failure.message}); nothing is published"
            )
        answers = _answers(result.data.path, self.stem)
        if self.writes:
            self._keep(answers)
            return
        expected = self._read_expected()
        scale = scale_of(self.stem, [*answers.values(), *expected.values()])
        cosines = {key: cosine(answers[key], expected[key], scale) for key in sorted(answers)}
        moved = {key: c for key, c in cosines.items() if not c >= self.threshold}
        if moved:
            worst = sorted(moved.items(), key=lambda item: item[1])[:MOVED_SHOWN]
            named = ", ".join(f"{key} (cosine {c:.6f})" for key, c in worst)
            raise RunError(
                f"{len(moved)} of {len(cosines)} canaries moved, more than --canary_threshold "
                f"{self.threshold:g} allows: {named}; the model, the decoder or a library is "
                "another one; nothing is published; if it is meant to be, add --write_canaries"
            )

    def _keep(self, answers: Mapping[str, Answer]) -> None:
        path = FileSystems.join(self.directory, EXPECTED_FILE)
        text = json.dumps({"stem": self.stem, "answers": answers}, indent=1)
        try:
            write_whole(path, text.encode())
        except OSError as error:
            reason = error.strerror or str(error)
            raise RunError(
                f"--write_canaries: {path} cannot be written: {reason}; nothing is published; run "
                "again with --resume once that is mended"
            ) from error

    def _read_expected(self) -> dict[str, Answer]:
        path = FileSystems.join(self.directory, EXPECTED_FILE)
        if not FileSystems.exists(path):
            raise FlagError(
                f"--canaries {self.directory}: no expected answers ({EXPECTED_FILE}) yet; run once "
                "with --write_canaries, with a model and libraries that you trust"
            )
        try:
            found: dict[str, Any] = json.loads(read_whole(path))
            stem, answers = found["stem"], found["answers"]
            # Their form is checked by use: every one is compared.
            read: dict[str, Answer] = {
                key: {i: float(x) for i, x in answers[key].items()} for key in answers
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FlagError(f"{path} is damaged: {error!r}; --write_canaries anew") from error
        if stem != self.stem:
            raise FlagError(f"{path} holds {stem}, wanted {self.stem}")
        return read


def scale_of(stem: str, answers: Sequence[Answer]) -> float:
    """Returns the number that stands beside each answer in a cosine; 0 for none.

    Of vectors the direction counts. Of scores, and of one number, the size does, which a cosine
    does not see. Beside the largest number of all it does:

        expected    {"5": 0.97}    (0.97, 0.97)
        answer      {"5": 0.03}    (0.03, 0.97)    a cosine of 0.73 instead of 1
    """
    if stem == "embeddings" and any(len(answer) > 1 for answer in answers):
        return 0.0
    return max(abs(x) for answer in answers for x in answer.values())


def cosine(first: Answer, second: Answer, scale: float = 0.0) -> float:
    """Returns the cosine of two answers; 1 for two that are both zero, 0 if only one is.

    Args:
        first: An answer.
        second: Another.
        scale: Number that both have besides.
    """
    norms = [
        math.sqrt(math.fsum(x * x for x in (*answer.values(), scale))) for answer in (first, second)
    ]
    if 0 in norms:
        return float(norms[0] == norms[1])
    products = (x * second.get(place, 0.0) for place, x in first.items())
    return math.fsum((*products, scale * scale)) / (norms[0] * norms[1])


def _answers(path: str, stem: str) -> dict[str, Answer]:
    columns = [IMAGE_ID, EMBEDDING] if stem == "embeddings" else [IMAGE_ID, CLASS_INDEX, SCORE]
    answers: dict[str, Answer] = {}
    for rows in iter_rows(path, columns):
        for row in rows.to_pylist():
            vector: Sequence[float] = row[columns[-1]]
            places: Sequence[int] = row.get(CLASS_INDEX, range(len(vector)))
            pairs = zip(places, vector, strict=True)
            answers[row[IMAGE_ID]] = {str(place): float(x) for place, x in pairs}
    return answers
