import hashlib
import io
import os
import pathlib
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

import onnx
import pytest
from apache_beam.io.filesystem import CompressionTypes, FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem

from tests.support.onnx_models import write_json, write_network
from transforms.errors import ModelError
from transforms.models import cache as model_cache
from transforms.models.contract import inspect_model
from transforms.models.handle import fingerprint_model, resolve_model
from transforms.models.label_files import find_labels
from transforms.models.notes import read_notes

RESOLVE = "from transforms.models.handle import resolve_model; print(resolve_model({!r}))"
"""A program that resolves a handle."""


class _Bucket(LocalFileSystem):
    """A local directory that is listed by prefix, as an object store is."""

    root = pathlib.Path()
    opened: list[str] = []  # noqa: RUF012 - what was copied, for the tests

    @classmethod
    def scheme(cls) -> str:
        return "bucket"

    def has_dirs(self) -> bool:
        return False

    def _list(self, prefix: str) -> Iterator[FileMetadata]:
        for path in sorted(self.root.rglob("*")):
            uri = f"bucket://{path.relative_to(self.root).as_posix()}"
            if path.is_file() and uri.startswith(prefix):
                yield FileMetadata(uri, path.stat().st_size, path.stat().st_mtime)

    def exists(self, path: str) -> bool:
        return any(found.path == path for found in self._list(path))

    def metadata(self, path: str) -> FileMetadata:
        return next(found for found in self._list(path) if found.path == path)

    def open(
        self,
        path: str,
        mime_type: str = "application/octet-stream",
        compression_type: str = CompressionTypes.AUTO,
    ) -> BinaryIO:
        assert compression_type == CompressionTypes.UNCOMPRESSED
        self.opened.append(path)
        return (self.root / path.removeprefix("bucket://")).open("rb")


@pytest.fixture
def bucket(tmp_path: pathlib.Path) -> pathlib.Path:
    _Bucket.root = tmp_path / "bucket"
    _Bucket.opened.clear()
    _Bucket.root.mkdir()
    return _Bucket.root


@pytest.fixture
def cache(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "cache")


def write_model(directory: pathlib.Path, content: bytes = b"graph") -> pathlib.Path:
    (directory / "variables").mkdir(parents=True)
    (directory / "saved_model.pb").write_bytes(content)
    (directory / "variables" / "variables.index").write_bytes(b"index")
    return directory


def read_files(directory: str) -> dict[str, bytes]:
    root = pathlib.Path(directory)
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


MODEL_FILES = {"saved_model.pb": b"graph", "variables/variables.index": b"index"}


def write_archive(path: pathlib.Path, root: pathlib.Path, arcname: str = ".") -> pathlib.Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        archive.add(root, arcname)
    return path


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}", "file:{}", "file://localhost{}"])
def test_a_directory_resolves_to_itself(tmp_path: pathlib.Path, form: str) -> None:
    model = write_model(tmp_path / "model")
    assert os.path.samefile(resolve_model(form.format(model)), model)


def test_the_highest_version_of_a_serving_layout_is_taken_by_number(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    for version in ("2", "10", "9"):
        write_model(tmp_path / "model" / version)
    (tmp_path / "model" / "11").mkdir()  # still being copied
    with caplog.at_level("INFO"):
        assert resolve_model(str(tmp_path / "model")) == str(tmp_path / "model" / "10")
    assert "taking version 10 of 10, 2, 9" in caplog.text


@pytest.mark.parametrize("beside", ["labels.txt", "docs/readme.md"])
def test_the_only_folder_that_holds_a_model_is_taken(tmp_path: pathlib.Path, beside: str) -> None:
    write_model(tmp_path / "model.savedmodel")
    (tmp_path / beside).parent.mkdir(exist_ok=True)
    (tmp_path / beside).write_text("0 Class 1\n")
    assert resolve_model(str(tmp_path)) == str(tmp_path / "model.savedmodel")


@pytest.mark.parametrize("name", ["model.tar", "model.tar.gz", "model.tgz"])
@pytest.mark.parametrize("arcname", [".", "", "mymodel", "mymodel/1"])
def test_an_archive_is_unpacked_to_the_cache(
    tmp_path: pathlib.Path, cache: str, name: str, arcname: str
) -> None:
    archive = write_archive(tmp_path / name, write_model(tmp_path / "model"), arcname)
    resolved = resolve_model(str(archive), cache)
    assert read_files(resolved) == MODEL_FILES
    key = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert pathlib.Path(cache, key) in [pathlib.Path(resolved), *pathlib.Path(resolved).parents]
    assert resolve_model(str(archive), cache) == resolved


def _add(archive: tarfile.TarFile, name: str, content: bytes = b"x", **fields: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda tar: _add(tar, "../outside"), "a path outside of itself, '../outside'"),
        (lambda tar: _add(tar, "a/../../outside"), "a path outside of itself"),
        (lambda tar: _add(tar, "/outside"), "a path outside of itself"),
        (
            lambda tar: _add(tar, "link", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
            "a link or device, 'link'",
        ),
        (
            lambda tar: _add(tar, "link", b"", type=tarfile.LNKTYPE, linkname="saved_model.pb"),
            "a link or device",
        ),
        (lambda tar: _add(tar, "device", b"", type=tarfile.CHRTYPE), "a link or device"),
        (lambda tar: _add(tar, "pipe", b"", type=tarfile.FIFOTYPE), "a link or device"),
        (lambda tar: _add(tar, "saved_model.pb"), "File exists"),
        (lambda tar: _add(tar, "saved_model.pb/below"), "exists|Not a directory"),
    ],
)
def test_a_hostile_archive_is_refused_and_leaves_nothing(
    tmp_path: pathlib.Path, cache: str, add: Callable[[tarfile.TarFile], None], message: str
) -> None:
    path = tmp_path / "model.tar"
    with tarfile.open(path, "w") as archive:
        _add(archive, "saved_model.pb", b"graph")
        add(archive)
    with pytest.raises(ModelError, match=message):
        resolve_model(str(path), cache)
    assert not (tmp_path / "outside").exists()
    assert [name for name in os.listdir(cache) if not name.endswith(".lock")] == []


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: pathlib.Path, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        _add(archive, "saved_model.pb", bytes(10_000_000))
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(model_cache, "MAX_MODEL_BYTES", 1_000_000)
    with pytest.raises(ModelError, match="unpacks to more than"):
        resolve_model(str(path), cache)
    assert read_files(cache) == {f"{hashlib.sha256(path.read_bytes()).hexdigest()}.lock": b""}


def test_a_damaged_archive_is_refused(tmp_path: pathlib.Path, cache: str) -> None:
    whole = write_archive(tmp_path / "whole.tar.gz", write_model(tmp_path / "model", bytes(10_000)))
    content = whole.read_bytes()
    archives: dict[str, bytes] = {
        "cut.tar.gz": content[:60],
        "text.tar.gz": b"<html>404</html>",
        "empty.tar": b"",
        "flipped.tgz": content[:40] + bytes([content[40] ^ 0xFF]) + content[41:],
    }
    for name, damaged in archives.items():
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(ModelError, match=r"is no readable tar archive|no saved_model\.pb"):
            resolve_model(str(tmp_path / name), cache)


def test_a_model_in_a_bucket_is_copied_once_and_again_when_it_changes(
    bucket: pathlib.Path, cache: str
) -> None:
    model = write_model(bucket / "models" / "m")
    write_model(bucket / "models" / "m2", b"another")
    first = resolve_model("bucket://models/m/", cache)
    assert read_files(first) == MODEL_FILES
    assert resolve_model("bucket://models/m", cache) == first
    assert sorted(_Bucket.opened) == [
        "bucket://models/m/saved_model.pb",
        "bucket://models/m/variables/variables.index",
    ]
    (model / "saved_model.pb").write_bytes(b"GRAPH")  # as long as before
    os.utime(model / "saved_model.pb", (2e9, 2e9))
    second = resolve_model("bucket://models/m", cache)
    assert read_files(second) == {**MODEL_FILES, "saved_model.pb": b"GRAPH"}
    assert read_files(first) == MODEL_FILES


def test_only_the_latest_version_in_a_bucket_is_copied(bucket: pathlib.Path, cache: str) -> None:
    write_model(bucket / "m" / "1", b"old")
    write_model(bucket / "m" / "2")
    assert read_files(resolve_model("bucket://m", cache)) == MODEL_FILES
    assert not any("/1/" in uri for uri in _Bucket.opened)


def test_the_only_version_in_a_bucket_comes_with_what_belongs_to_it(
    bucket: pathlib.Path, cache: str
) -> None:
    write_model(bucket / "m" / "1")
    (bucket / "m" / ".hidden").mkdir()
    (bucket / "m" / ".hidden" / "x").touch()
    (bucket / "m" / "labels.txt").write_text("cat\ndog\n")
    (bucket / "m" / "model.safetensors").write_bytes(b"x")
    range_255 = {"do_rescale": False}
    write_json(bucket / "m", "preprocessor_config.json", range_255)
    found = resolve_model("bucket://m", cache)
    assert find_labels(found) == os.path.join(os.path.dirname(found), "labels.txt")
    assert read_notes(found) == read_notes(str(bucket / "m" / "1")) == {"input_range": "0,255"}
    assert sorted(os.listdir(os.path.dirname(found))) == [
        "1", "labels.txt", "preprocessor_config.json"
    ]  # fmt: skip


@pytest.mark.parametrize("other", ["2/saved_model.pb", "0/saved_model.pb", "3/half"])
def test_files_above_several_versions_in_a_bucket_are_let_lie(
    bucket: pathlib.Path, cache: str, other: str
) -> None:
    write_model(bucket / "m" / "1")
    (bucket / "m" / other).parent.mkdir()
    (bucket / "m" / other).write_bytes(b"graph")
    (bucket / "m" / "labels.txt").write_text("cat\ndog\n")
    assert find_labels(str(bucket / "m" / "1")) is None
    assert find_labels(resolve_model("bucket://m", cache)) is None


def test_the_only_folder_in_a_bucket_that_holds_a_model_is_taken(
    bucket: pathlib.Path, cache: str
) -> None:
    write_model(bucket / "m" / "model.savedmodel")
    (bucket / "m" / "labels.txt").write_text("0 Class 1\n")
    assert read_files(resolve_model("bucket://m", cache)) == MODEL_FILES


def test_an_archive_in_a_bucket_is_unpacked(
    bucket: pathlib.Path, cache: str, tmp_path: pathlib.Path
) -> None:
    write_archive(bucket / "m.tar.gz", write_model(tmp_path / "model"), "m")
    assert read_files(resolve_model("bucket://m.tar.gz", cache)) == MODEL_FILES


def test_concurrent_workers_copy_a_model_once(bucket: pathlib.Path, cache: str) -> None:
    model = write_model(bucket / "m")
    for number in range(98):  # enough that the workers meet
        (model / f"{number}.txt").write_bytes(b"x")
    barrier = threading.Barrier(8)
    found: list[str] = []

    def resolve() -> None:
        barrier.wait()
        found.append(resolve_model("bucket://m", cache))

    threads = [threading.Thread(target=resolve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(_Bucket.opened) == 100


@pytest.mark.parametrize(
    ("names", "handle", "message"),
    [
        ([], "m", "no model .*m: want a directory that holds saved_model.pb"),
        ([], "", "empty model handle"),
        (
            ["m/readme.txt"],
            "m",
            "no saved_model.pb and no .onnx file in .*m, which holds readme.txt",
        ),
        (
            ["m/a/saved_model.pb", "m/b/saved_model.pb"],
            "m",
            "no saved_model.pb and no .onnx file in .*m, which holds a, b",
        ),
        (["m/model.keras"], "m", r"export it first: model\.export\(directory\)"),
        (["m/m.h5", "m/a.txt"], "m", "export it first"),
        (["m/m.weights.h5", "m/a.txt"], "m", "of weights alone; build the model, load them, and"),
        (["m.keras"], "m.keras", "is a Keras file; export it first"),
        (["m.onnx"], "m.onnx", "m.onnx is no ONNX model, or not whole: "),
        (["m.PT"], "m.PT", "is a PyTorch file; "),
        (["m.zip"], "m.zip", "m.zip is a zip archive; unpack it, and give the directory"),
        (["m.bz2"], "m.bz2", "is no model: want a directory, or a file that ends in .tar.gz"),
        (["m/model_unquant.tflite", "m/labels.txt"], "m", "which holds a TensorFlow Lite file; "),
        (["m/model.safetensors", "m/config.json"], "m", "which holds a safetensors file; wanted"),
        (["m/pytorch_model.bin"], "m", "which holds a PyTorch file; wanted"),
        (["m/frozen_inference_graph.pb"], "m", "which holds a frozen graph; wanted"),
        (["m/checkpoint", "m/model.ckpt-1.index"], "m", "which holds a checkpoint, of weights"),
        (["m/saved_model.pbtxt"], "m", "which holds a graph as text; wanted the binary"),
        (["m/fingerprint.pb", "m/variables/x"], "m", "which holds fingerprint.pb, variables"),
        (["m/saved_model.pb"], "m/saved_model.pb", "give its directory .*m"),
        (
            ["m/a/saved_model.pb", "m/b/saved_model.pb"],
            "m",
            r"there is a model in .*m/a: give that$",
        ),
        (["m/variables/x", "m/saved_model.pb"], "m/variables", r"in .*/m: give that$"),
    ],
)
def test_what_is_no_model_is_named(
    tmp_path: pathlib.Path, names: list[str], handle: str, message: str
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match=message):
        resolve_model(str(tmp_path / handle) if handle else "")


def test_a_pointer_in_place_of_an_archive_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "m.tar.gz").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match=r"m\.tar\.gz is a Git LFS pointer, not the file itself"):
        resolve_model(str(tmp_path / "m.tar.gz"))


@pytest.mark.parametrize(
    ("handle", "message"),
    [
        ("bucket://nothing", "nothing is there"),
        ("bucket://no.tar.gz", "nothing is there|cannot read model"),
        (
            "bucket://text",
            "no saved_model.pb and no .onnx file in bucket://text, which holds a.txt",
        ),
        ("nosuchscheme://m", "cannot read model nosuchscheme://m"),
    ],
)
def test_what_is_no_remote_model_is_named(
    bucket: pathlib.Path, cache: str, handle: str, message: str
) -> None:
    (bucket / "text").mkdir()
    (bucket / "text" / "a.txt").write_bytes(b"x")
    with pytest.raises(ModelError, match=message):
        resolve_model(handle, cache)


def test_what_a_cache_holds_is_used_where_it_cannot_be_written(
    tmp_path: pathlib.Path, cache: str
) -> None:
    archive = write_archive(tmp_path / "m.tar.gz", write_model(tmp_path / "model"))
    found = resolve_model(str(archive), cache)
    (lock,) = pathlib.Path(cache).glob("*.lock")
    lock.unlink()
    lock.mkdir()  # Not even root can open it.
    assert resolve_model(str(archive), cache) == found


def test_a_cache_that_cannot_be_written_is_named(tmp_path: pathlib.Path) -> None:
    archive = write_archive(tmp_path / "m.tar", write_model(tmp_path / "model"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match=r"cannot keep the model in .*file"):
        resolve_model(str(archive), str(tmp_path / "file"))


# tensorflow_hub imports pkg_resources, which is deprecated.
@pytest.mark.filterwarnings("ignore")
def test_a_hub_handle_is_found_in_tensorflow_hubs_cache(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = "https://tfhub.dev/google/imagenet/mobilenet_v2_100_224/feature_vector/5"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    model = write_model(tmp_path / hashlib.sha1(handle.encode()).hexdigest())
    assert resolve_model(handle) == str(model)


def test_a_hub_handle_shows_no_warning_of_what_tensorflow_hub_imports(
    tmp_path: pathlib.Path,
) -> None:
    handle = "https://tfhub.dev/m/1"
    model = write_model(tmp_path / hashlib.sha1(handle.encode()).hexdigest())
    done = subprocess.run(
        [sys.executable, "-c", RESOLVE.format(handle)],
        env={**os.environ, "TFHUB_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{model}\n"
    assert "Warning: " not in done.stderr


@pytest.mark.filterwarnings("ignore")
def test_a_failed_download_is_a_model_error(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    with pytest.raises(ModelError, match=r"cannot download model http://127\.0\.0\.1:9/m: "):
        resolve_model("http://127.0.0.1:9/m")


def test_the_fingerprint_changes_with_any_name_or_content(tmp_path: pathlib.Path) -> None:
    model = write_model(tmp_path / "model")
    fingerprints = [fingerprint_model(str(model))]
    (model / "variables" / "variables.index").write_bytes(b"Index")
    fingerprints.append(fingerprint_model(str(model)))
    (model / "variables" / "variables.index").rename(model / "variables" / "renamed")
    fingerprints.append(fingerprint_model(str(model)))
    (model / "labels.txt").write_bytes(b"")
    fingerprints.append(fingerprint_model(str(model)))
    assert len(set(fingerprints)) == 4
    assert all(len(fingerprint) == 64 for fingerprint in fingerprints)


def test_a_copy_has_the_same_fingerprint(tmp_path: pathlib.Path) -> None:
    first, second = write_model(tmp_path / "a"), write_model(tmp_path / ".hidden" / "b")
    books = second / ".cache" / "huggingface" / "download" / "saved_model.pb.metadata"
    books.parent.mkdir(parents=True)
    books.write_text("1790000000.1")  # As `hf download --local-dir` leaves it.
    (second / "variables" / ".DS_Store").touch()
    assert fingerprint_model(str(first)) == fingerprint_model(f"{second}/")


@pytest.mark.parametrize("mode", [0, 0o111])
def test_a_directory_that_may_not_be_listed_is_named(tmp_path: pathlib.Path, mode: int) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=mode)
    with pytest.raises(ModelError, match=r"cannot read model .*closed: .*Permission denied"):
        resolve_model(str(closed))
    closed.chmod(0o700)


def test_a_file_that_may_not_be_read_is_named(tmp_path: pathlib.Path) -> None:
    archive = write_archive(tmp_path / "m.tar.gz", write_model(tmp_path / "model"))
    archive.chmod(0)
    with pytest.raises(ModelError, match=r"cannot read model .*m.tar.gz: .*Permission denied"):
        resolve_model(str(archive))
    (tmp_path / "model" / "variables" / "variables.index").chmod(0)
    with pytest.raises(ModelError, match=r"cannot read model .*model: .*variables.index"):
        fingerprint_model(str(tmp_path / "model"))


def test_links_to_files_are_followed(tmp_path: pathlib.Path) -> None:
    model = write_model(tmp_path / "a")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "saved_model.pb").symlink_to(model / "saved_model.pb")
    (linked / "variables").mkdir()
    (linked / "variables" / "variables.index").symlink_to(model / "variables" / "variables.index")
    assert fingerprint_model(str(linked)) == fingerprint_model(str(model))


def test_the_weights_in_a_linked_directory_are_in_the_fingerprint(tmp_path: pathlib.Path) -> None:
    first, second = write_model(tmp_path / "a"), write_model(tmp_path / "b")
    (second / "variables" / "variables.index").write_bytes(b"other")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "saved_model.pb").symlink_to(first / "saved_model.pb")
    for model in (first, second):
        (linked / "variables").symlink_to(model / "variables")
        assert fingerprint_model(str(linked)) == fingerprint_model(str(model))
        (linked / "variables").unlink()
    (linked / "variables").symlink_to(first / "variables")
    (linked / "loop").symlink_to(linked)
    assert fingerprint_model(str(linked)) == fingerprint_model(str(first))


@pytest.mark.parametrize("handle", ["m", "m/onnx/model.onnx", "m/onnx/small.onnx"])
def test_a_remote_model_comes_with_what_belongs_to_it(
    bucket: pathlib.Path, cache: str, handle: str
) -> None:
    for name in ("model", "small"):
        graph = onnx.load(write_network(bucket / "m" / "onnx" / f"{name}.onnx"))
        path = str(bucket / "m" / "onnx" / f"{name}.onnx")
        onnx.save(
            graph, path, save_as_external_data=True, location=f"{name}.onnx_data", size_threshold=0
        )
    write_json(bucket / "m", "preprocessor_config.json", {"do_rescale": False})
    (bucket / "m" / "photos").mkdir()
    (bucket / "m" / "photos" / "a.jpg").write_bytes(b"x")
    found = pathlib.Path(resolve_model(f"bucket://{handle}", cache))
    chosen = "small" if "small" in handle else "model"
    assert inspect_model(str(found)).output_dim == 8
    assert {path.name for path in found.parent.iterdir()} == {
        f"{chosen}.onnx", f"{chosen}.onnx_data"
    }  # fmt: skip
    assert read_notes(str(found)) == {"input_range": "0,255"}
    with pytest.raises(ModelError, match="nothing is there"):
        resolve_model("bucket://m/none.onnx", cache)
