"""Beam's portable runners, as a user starts them."""

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

LOOPBACK = "--environment_type=LOOPBACK"
"""Workers are threads of the launcher: they see its working directory and its __main__."""

JOB_SERVER_HERE = ("--runner=PortableRunner", "--job_endpoint=embed", LOOPBACK)
"""Flags of Beam's job server in the launcher."""


class Cluster(NamedTuple):
    """An engine that runs.

    Attributes:
        directory: Directory of its files.
        flags: Flags that lead to it.
    """

    directory: pathlib.Path
    flags: tuple[str, ...]


def prism_flags() -> tuple[str, ...]:
    """Returns the flags of Prism; skips the test where there is none."""
    prism = shutil.which("prism", path=f"{os.environ['PATH']}:{ROOT / 'build' / 'bin'}")
    if prism is None:
        pytest.skip("no prism; build it with scripts/prism")
    # A server for all pipelines of the process would get those of the DirectRunner, too: it tries
    # Prism first. (DirectRunner and PrismRunner of 2.77)
    own_server = "--experiments=disable_prism_server_singleton"
    return ("--runner=PrismRunner", f"--prism_location={prism}", own_server)


@contextlib.contextmanager
def running_cluster(name: str, directory: pathlib.Path) -> Iterator[Cluster]:
    """Runs an engine; skips the test where it cannot be had.

    Args:
        name: "flink" or "spark".
        directory: Directory of its files.
    """
    for command in ("java", "mvn"):
        if shutil.which(command) is None:
            pytest.skip(f"no {command}: scripts/{name}_up needs Java and Maven")
    environment = {**os.environ, "IMAGE_INFERENCE_PYTHON": sys.executable}
    environment[f"{name.upper()}_DIR"] = str(directory)
    for _ in range(2):  # Another process may take the port that was free.
        environment[f"{name.upper()}_PORT"] = str(free_port())
        # Its output is no pipe: the engine keeps it open.
        with (directory / "up").open("w+") as output:
            up = subprocess.run(
                [ROOT / "scripts" / f"{name}_up"], env=environment, stdout=output, stderr=output
            )
            output.seek(0)
            told = output.read()
        if up.returncode == 3:
            pytest.skip(f"no jars: {told[-500:]}")
        if up.returncode == 0:
            break
    assert up.returncode == 0, told
    try:
        words = shlex.split((directory / "flags").read_text(), comments=True)
        yield Cluster(directory, tuple(words))
    finally:
        subprocess.run([ROOT / "scripts" / f"{name}_down"], env=environment, check=True)


def free_port() -> int:
    """Returns a port of this machine that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def workers(cluster: Cluster) -> list[int]:
    """Returns the worker processes of this cluster: they have its environment."""
    found = []
    for process in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            is_worker = b"beam_worker.py" in (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes() if is_worker else b""
            if f"_DIR={cluster.directory}\0".encode() in environment:
                found.append(int(process.name))
    return found


@contextlib.contextmanager
def worker_pool() -> Iterator[int]:
    """Runs Beam's pool of workers on a free port."""
    port = free_port()
    # It starts workers by the name "python".
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path}
    pool = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "apache_beam.runners.worker.worker_pool_main",
            f"--service_port={port}",
        ],
        env=environment,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for_port(port)
        yield port
    finally:
        os.killpg(pool.pid, signal.SIGKILL)
        pool.wait()


def wait_for_port(port: int) -> None:
    """Waits until someone listens."""
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nobody listens on port {port}")
