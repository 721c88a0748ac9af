import contextlib
import pathlib
import shutil
from collections.abc import Callable

import pytest
import tensorflow as tf

from tests.support.models import save_mean_color
from transforms.errors import ModelError
from transforms.models.inspection import inspect_saved_model
from transforms.models.model_files import check_files

SavedModel = Callable[[str], str]

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:31bf1f54\nsize 78885616\n"
INDEX = "variables/variables.index"
DATA = "variables/variables.data-00000-of-00001"

KINDS = ["mean_color", "keras_export", "tf_keras_saved", "tf1_serving", "tf1_hub"]


@pytest.fixture(params=KINDS)
def copied(request: pytest.FixtureRequest, saved_model: SavedModel, tmp_path: pathlib.Path) -> str:
    return str(shutil.copytree(saved_model(request.param), tmp_path / "model"))


def check(model_dir: str) -> None:
    check_files(model_dir, inspect_saved_model(model_dir).files)


def refusal(model_dir: str) -> str:
    with pytest.raises(ModelError) as error:
        check(model_dir)
    return str(error.value)


def test_a_whole_model_is_let_pass(copied: str) -> None:
    check(copied)


@pytest.mark.parametrize("name", [INDEX, DATA])
def test_a_missing_file_is_named(copied: str, name: str) -> None:
    (pathlib.Path(copied) / name).unlink()
    assert f"{copied}/{name} is not there; copy the whole directory" in refusal(copied)


def test_a_missing_folder_of_variables_is_named(copied: str) -> None:
    shutil.rmtree(pathlib.Path(copied) / "variables")
    assert f"{copied}/{INDEX} is not there" in refusal(copied)


@pytest.mark.parametrize("name", [INDEX, DATA, "saved_model.pb"])
def test_a_pointer_of_git_lfs_is_named_with_the_cure(copied: str, name: str) -> None:
    (pathlib.Path(copied) / name).write_text(POINTER)
    assert refusal(copied).startswith(
        f"{copied}/{name} is a Git LFS pointer, not the file itself; run git lfs pull"
    )


def test_a_cut_file_of_variables_is_named_with_its_size(copied: str) -> None:
    path = pathlib.Path(copied) / DATA
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert f"has {len(content) - 1} bytes, want {len(content)}" in refusal(copied)


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_a_cut_index_is_named(copied: str, keep: int) -> None:
    path = pathlib.Path(copied) / INDEX
    path.write_bytes(path.read_bytes()[:keep])
    assert INDEX in refusal(copied)


@pytest.mark.parametrize("at", range(0, 140, 7))
def test_no_damage_to_the_index_is_anything_but_a_model_error(
    saved_model: SavedModel, tmp_path: pathlib.Path, at: int
) -> None:
    copied = shutil.copytree(saved_model("mean_color"), tmp_path / "model")
    content = bytearray((copied / INDEX).read_bytes())
    content[at % len(content)] ^= 0xFF
    (copied / INDEX).write_bytes(content)
    with contextlib.suppress(ModelError):  # Not every byte is looked at.
        check(str(copied))


def test_an_index_of_many_blocks_says_what_its_shard_holds(tmp_path: pathlib.Path) -> None:
    model_dir = tmp_path / "model"
    save_mean_color(model_dir)
    names = {f"layer_{number}/kernel": tf.Variable([float(number)]) for number in range(2000)}
    checkpoint = tf.train.Checkpoint(**{name.replace("/", "_"): it for name, it in names.items()})
    prefix = str(tmp_path / "variables")
    checkpoint.write(prefix)
    for suffix in ("index", "data-00000-of-00001"):
        shutil.copy(f"{prefix}.{suffix}", model_dir / "variables" / f"variables.{suffix}")
    check(str(model_dir))
    with open(model_dir / DATA, "r+b") as file:
        file.truncate(4000)
    assert "has 4000 bytes, want " in refusal(str(model_dir))


def test_a_missing_asset_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "words.txt").write_text("one\ntwo\n")
    module = tf.Module()
    module.words = tf.saved_model.Asset(str(tmp_path / "words.txt"))
    module.__call__ = tf.function(
        lambda images: tf.reduce_mean(images, [1, 2]),
        input_signature=[tf.TensorSpec([None, 24, 24, 3], tf.float32, "images")],
    )
    model_dir = str(tmp_path / "model")
    tf.saved_model.save(module, model_dir, signatures=module.__call__)
    (tmp_path / "model" / "assets" / "words.txt").unlink()
    assert f"{model_dir}/assets/words.txt is not there" in refusal(model_dir)


def test_a_graph_of_tf1_without_variables_needs_no_files(tmp_path: pathlib.Path) -> None:
    directory = str(tmp_path / "model")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images = tf.compat.v1.placeholder(tf.float32, [None, 24, 24, 3], "images")
        tf.compat.v1.saved_model.simple_save(
            session, directory, {"images": images}, {"mean": tf.reduce_mean(images, [1, 2])}
        )
    shutil.rmtree(tmp_path / "model" / "variables", ignore_errors=True)
    check(directory)
