"""The images cannot be built by the suite; what they are built from must be there, and fit."""

import pathlib
import re
from importlib import metadata

from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.partition(";")[0].split("==") for line in lines if "==" in line)


def test_the_worker_program_is_of_the_pinned_beam() -> None:
    (version,) = re.findall(r"apache/beam_python3\.11_sdk:(\S+)", DOCKERFILE)
    assert version == pins("requirements.txt")["apache-beam"]


def test_cuda_is_what_tensorflow_asks_for() -> None:
    asked = [Requirement(text) for text in metadata.requires("tensorflow") or []]
    cuda = {found.name: found.specifier for found in asked if "and-cuda" in str(found.marker)}
    pinned = pins("docker/nvidia.txt")
    assert pinned.keys() == cuda.keys()
    for name, version in pinned.items():
        assert version in cuda[name], name


def test_what_the_images_copy_is_sent_to_the_build() -> None:
    sent = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    named = re.findall(r"docker/[a-z_]+(?:\.py|\.txt)?|requirements\.txt", DOCKERFILE)
    for name in {*named, *sent, "setup.py", "README.md"}:
        assert (ROOT / name).exists(), name
        assert name.partition("/")[0] in sent, name
