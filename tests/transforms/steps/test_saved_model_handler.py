"""The chain from bytes to rows: preprocess, model, tabulate, each on good and bad batches."""

import dataclasses
import pathlib
import pickle
import threading
from typing import TYPE_CHECKING

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.ml.inference.base import RunInference
from apache_beam.testing.test_pipeline import TestPipeline as _TestPipeline
from apache_beam.testing.util import assert_that

from tests.support.batches import encoded_images, failure, predictions
from tests.support.images import encode
from tests.support.models import save_mean_color
from transforms.batches import EncodedImages, OutputRows, PixelBatch, Predictions
from transforms.errors import ModelError
from transforms.failure import Step
from transforms.images.policy import Preprocessing
from transforms.models.handle import fingerprint_model
from transforms.models.inspection import inspect_saved_model
from transforms.steps import decode_ahead
from transforms.steps.preprocess_images import PreprocessImages, _PreprocessBatch
from transforms.steps.saved_model_handler import SavedModelHandler
from transforms.steps.to_embeddings import ToEmbeddings, to_embedding_rows
from transforms.steps.to_top_k import ACTIVATED_TWICE, ToTopK, to_top_k_rows

if TYPE_CHECKING:
    from transforms.models.image_model import ImageModel

POLICY = Preprocessing(image_size=(24, 24))
NOTHING = pa.schema([])


def solid(red: int, green: int, blue: int) -> bytes:
    return encode(np.full((6, 4, 3), (red, green, blue), np.uint8), "PNG")


def test_preprocess_images_sets_undecodable_images_aside() -> None:
    batch = encoded_images({"a": solid(255, 0, 0), "b": b"no image", "c": solid(0, 255, 0)})

    def check(batches: list[PixelBatch]) -> None:
        (made,) = batches
        assert made.matched == 3
        assert made.rows.column("image_id").to_pylist() == ["a", "c"]
        assert made.rows.column("width").to_pylist() == [4, 4]
        assert made.rows.column("height").to_pylist() == [6, 6]
        assert made.pixels.shape == (2, 24, 24, 3)
        np.testing.assert_array_equal(made.pixels[:, 0, 0], [[1, 0, 0], [0, 1, 0]])
        (bad,) = made.failures
        assert (bad.image_id, bad.step, bad.error_type) == ("b", Step.DECODE, "UnsupportedFormat")
        assert made.seconds[Step.DECODE] > 0

    with _TestPipeline() as pipeline:
        assert_that(pipeline | beam.Create([batch]) | PreprocessImages(POLICY), check)


def numbered(count: int) -> list[EncodedImages]:
    """Makes the batches of a shard, of an image each."""
    return [
        dataclasses.replace(
            encoded_images({str(index): solid(9, 9, 9)}), index=index, is_last=index == count - 1
        )
        for index in range(count)
    ]


def test_the_next_batch_is_decoded_while_the_model_has_this_one() -> None:
    batches = numbered(3)
    step = _PreprocessBatch(POLICY, None)
    step.setup()
    step.start_bundle()
    assert list(step.process(batches[0])) == []
    busy = step.process(batches[1])
    assert next(busy).index == 0
    ((decoded, _),) = step._kept
    assert decoded.result(timeout=60).index == 1  # decoded, although nobody asks for it yet
    assert list(busy) == []
    assert [batch.index for batch in step.process(batches[2])] == [1]
    assert [last.value.index for last in step.finish_bundle()] == [2]
    assert list(step.finish_bundle()) == []
    step.teardown()


def test_a_bundle_that_failed_leaves_nothing_to_the_next() -> None:
    step = _PreprocessBatch(POLICY, None)
    step.setup()
    step.start_bundle()
    lost = dataclasses.replace(encoded_images({"a": solid(9, 9, 9)}), is_last=False)
    assert list(step.process(lost)) == []
    step.start_bundle()
    assert list(step.process(encoded_images({"b": solid(9, 9, 9)}))) == []
    (made,) = (last.value for last in step.finish_bundle())
    assert made.rows.column("image_id").to_pylist() == ["b"]
    step.teardown()


def test_a_shard_that_was_begun_before_is_decoded_in_another_process(
    tmp_path: pathlib.Path,
) -> None:
    # A limit that only the other process holds, and that every image breaks there.
    policy = dataclasses.replace(POLICY, max_image_seconds=1e-5)
    batch = encoded_images({"a": solid(9, 9, 9)})
    reasons = []
    for _ in range(2):
        step = _PreprocessBatch(policy, None, str(tmp_path))
        step.setup()
        step.start_bundle()
        assert list(step.process(batch)) == []
        (made,) = (last.value for last in step.finish_bundle())
        reasons.append([failure.reason for failure in made.failures])
        step.teardown()
    assert reasons == [[], ["decode/DecodeTimeout"]]


def handler(
    directory: pathlib.Path, kind: type[SavedModelHandler] = SavedModelHandler
) -> SavedModelHandler:
    model_dir = str(directory / "model")
    save_mean_color(model_dir)
    return kind(
        handle=model_dir,
        fingerprint=fingerprint_model(model_dir),
        spec=inspect_saved_model(model_dir),
        image_size=(24, 24),
    )


class SlowlyLoaded(SavedModelHandler):
    """A model whose loading lasts until somebody says so."""

    may_end = threading.Event()

    def load(self) -> "ImageModel":
        assert self.may_end.wait(timeout=60)
        return super().load()


def test_batches_are_decoded_while_the_model_is_loaded(tmp_path: pathlib.Path) -> None:
    SlowlyLoaded.may_end.clear()
    slow = handler(tmp_path, SlowlyLoaded)
    step = _PreprocessBatch(POLICY, None, handlers=[slow])
    step.setup()
    step.start_bundle()
    for batch in numbered(4):
        assert list(step.process(batch)) == []
    for decoded, _ in step._kept:
        assert decoded.result(timeout=60).pixels.shape == (1, 24, 24, 3)
    # The next step has a copy of the handler, and waits for the same model.
    model = pickle.loads(pickle.dumps(slow)).load_model()
    assert not model.begin().done()
    SlowlyLoaded.may_end.set()
    assert model().output_dim == 3
    (first, *others) = step.process(numbered(5)[4])
    assert [first.index, *(batch.index for batch in others)] == [0, 1, 2, 3]
    assert [last.value.index for last in step.finish_bundle()] == [4]
    step.teardown()


def test_pixels_that_wait_for_the_model_have_a_limit(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_bytes = 24 * 24 * 3 * 4
    monkeypatch.setattr(decode_ahead, "_WAITING_BYTES", 3 * batch_bytes)
    SlowlyLoaded.may_end.clear()
    step = _PreprocessBatch(POLICY, None, handlers=[handler(tmp_path, SlowlyLoaded)])
    step.setup()
    step.start_bundle()
    handed_on = [[batch.index for batch in step.process(batch)] for batch in numbered(5)]
    assert handed_on == [[], [], [0], [1], [2]]
    SlowlyLoaded.may_end.set()
    step.teardown()


def test_a_shard_without_images_loads_no_model(tmp_path: pathlib.Path) -> None:
    step = _PreprocessBatch(POLICY, None, handlers=[handler(tmp_path)])
    step.setup()
    step.start_bundle()
    list(step.process(encoded_images({})))
    assert not step._is_loading()
    step.teardown()


def test_a_model_that_was_away_is_looked_for_again_by_the_next_bundle(
    tmp_path: pathlib.Path,
) -> None:
    away = handler(tmp_path)
    (tmp_path / "model").rename(tmp_path / "moved")
    step = _PreprocessBatch(POLICY, None, handlers=[away])
    step.setup()
    step.start_bundle()
    list(step.process(numbered(1)[0]))
    model = away.load_model()
    assert isinstance(model.begin().exception(timeout=60), ModelError)
    (tmp_path / "moved").rename(tmp_path / "model")
    step.start_bundle()
    list(step.process(numbered(1)[0]))
    assert model().output_dim == 3
    step.teardown()


def test_run_inference_gives_one_prediction_a_batch_with_failures_in_place(
    tmp_path: pathlib.Path,
) -> None:
    batches = [
        encoded_images({"a": solid(255, 0, 0), "b": b"no image"}),
        encoded_images({"c": b"no image either"}),
    ]

    def check(made: list[Predictions]) -> None:
        full, empty = sorted(made, key=lambda batch: -batch.rows.num_rows)
        np.testing.assert_allclose(full.outputs, [[1, 0, 0]], atol=1e-5)
        assert [f.image_id for f in full.failures] == ["b"]
        assert empty.outputs.shape == (0, 3)
        assert [f.image_id for f in empty.failures] == ["c"]
        assert full.seconds.keys() == {Step.DECODE, Step.MODEL}

    with _TestPipeline() as pipeline:
        pixels = pipeline | beam.Create(batches) | PreprocessImages(POLICY)
        assert_that(pixels | RunInference(handler(tmp_path)), check)


def test_a_model_that_changes_after_launch_is_refused(tmp_path: pathlib.Path) -> None:
    made = handler(tmp_path)
    (tmp_path / "model" / "labels.txt").write_text("new\n")
    with pytest.raises(ModelError, match="keep the model unchanged while a run lasts"):
        made.load()


def test_the_handler_tells_the_size_of_pixels_without_pickling_them(tmp_path: pathlib.Path) -> None:
    pixels = np.zeros((2, 24, 24, 3), np.float32)
    fields = predictions({"a": [0.0], "b": [0.0]})
    batch = PixelBatch(
        shard=fields.shard, index=0, is_last=True, matched=2, rows=fields.rows, pixels=pixels
    )
    assert handler(tmp_path).get_num_bytes([batch, batch]) == 2 * pixels.nbytes


def test_to_embeddings_makes_rows_and_keeps_failures() -> None:
    batch = predictions({"a": [3, 4], "b": [0, 2]}, failures=(failure("x"),))

    def check(made: list[OutputRows]) -> None:
        (rows,) = made
        assert rows.rows.to_pylist() == [
            {
                "image_id": name,
                "uri": f"/photos/{name}",
                "embedding": vector,
                "width": 20,
                "height": 10,
                "content_sha256": f"sha256 of {name}",
            }
            for name, vector in (("a", [np.float32(0.6), np.float32(0.8)]), ("b", [0, 1]))
        ]
        assert [f.image_id for f in rows.failures] == ["x"]
        assert rows.rows.schema.metadata == {b"model": b"m"}

    with _TestPipeline() as pipeline:
        batches = pipeline | beam.Create([batch])
        assert_that(batches | ToEmbeddings("float32", "l2", NOTHING, {"model": "m"}), check)


def test_a_vector_too_large_for_float16_costs_its_own_image_only() -> None:
    batch = predictions({"a": [1], "b": [1e5], "c": [2]}, failures=(failure("x"),))
    made = to_embedding_rows(batch, dtype="float16", normalize="none", carried=NOTHING, metadata={})
    assert made.rows.column("image_id").to_pylist() == ["a", "c"]
    assert made.rows.column("embedding").to_pylist() == [[1], [2]]
    assert [(f.image_id, f.error_type) for f in made.failures] == [
        ("x", "CorruptImage"),
        ("b", "EmbeddingOverflow"),
    ]
    assert made.matched == made.rows.num_rows + len(made.failures)


def test_to_embeddings_of_no_rows_has_the_full_width() -> None:
    batch = predictions({}, failures=(failure("x"),))
    batch = Predictions(**{**vars(batch), "outputs": np.zeros((0, 7), np.float32)})
    made = to_embedding_rows(batch, dtype="float32", normalize="none", carried=NOTHING, metadata={})
    assert made.rows.schema.field("embedding").type.list_size == 7


def test_to_top_k_applies_the_background_rule_to_labels() -> None:
    logits = [0.0] * 1001
    logits[1] = 5.0
    batch = predictions({"a": logits})
    labels = tuple(f"label {n}" for n in range(1000))

    def check(made: list[OutputRows]) -> None:
        (row,) = made[0].rows.to_pylist()
        assert row["class_index"] == [1, 0]
        assert row["class_label"] == ["label 0", "background"]
        assert row["score"] == [5, 0]

    with _TestPipeline() as pipeline:
        batches = pipeline | beam.Create([batch])
        assert_that(batches | ToTopK(2, "none", labels, NOTHING, {}), check)


@pytest.mark.parametrize(
    ("activation", "are_probabilities", "is_warned"),
    [("softmax", True, True), ("softmax", False, False), ("none", True, False)],
)
def test_scores_activated_twice_are_warned_of(
    activation: str, are_probabilities: bool, is_warned: bool
) -> None:
    batch = dataclasses.replace(
        predictions({"a": [0.25, 0.75]}), outputs_are_probabilities=are_probabilities
    )
    rows = to_top_k_rows(
        batch, top_k=1, activation=activation, labels=None, carried=NOTHING, metadata={}
    )
    assert (rows.warnings == (ACTIVATED_TWICE,)) is is_warned
