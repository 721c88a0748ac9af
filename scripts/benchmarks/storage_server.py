"""A server that answers as Cloud Storage does, late and wrongly if told so, in its own process.

It speaks what a reader asks of the JSON API: pages of a listing, an object's resource, its bytes
and ranges of them. All objects are in memory, so that it costs little beside what it measures.

    python -m scripts.benchmarks.storage_server DIRECTORY...

serves the files below each directory, which is a bucket of its name, and prints the port. POST
/behaviour takes a Behaviour as JSON, and GET /counts says what was asked since then.
"""

import asyncio
import base64
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import re
import socket
import struct
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c

from scripts.benchmarks.storage_behaviour import BUSY, Behaviour

_OBJECT = re.compile(r"/(?:download/)?storage/v1/b/([^/]+)/o/([^/]+)")
_LISTING = re.compile(r"/storage/v1/b/([^/]+)/o")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_WRONG_BYTES = 100
_STALL_SECONDS = 3600


class Objects:
    """What is stored: content and CRC-32C by bucket and name."""

    def __init__(self, directories: Sequence[pathlib.Path]) -> None:
        self.buckets: dict[str, dict[str, tuple[bytes, str]]] = {}
        kept: dict[tuple[int, int], tuple[bytes, str]] = {}  # Links to one file share its bytes.
        for directory in directories:
            bucket = self.buckets.setdefault(directory.name, {})
            for path in sorted(path for path in directory.rglob("*") if path.is_file()):
                status = path.stat()
                file = (status.st_dev, status.st_ino)
                if file not in kept:
                    kept[file] = _with_checksum(path.read_bytes())
                bucket[str(path.relative_to(directory))] = kept[file]

    def page(self, bucket: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Returns a page of a listing."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        entries: dict[str, dict[str, Any] | None] = {}
        for name, (content, checksum) in self.buckets[bucket].items():
            if not name.startswith(prefix):
                continue
            below, slash, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("",) * 3
            if slash:
                entries[prefix + below + slash] = None
            else:
                entries[name] = describe(bucket, name, content, checksum)
        names = sorted(name for name in entries if name > query.get("pageToken", ""))
        page = names[: int(query.get("maxResults", 1000))]
        answer = {
            "items": [entries[name] for name in page if entries[name]],
            "prefixes": [name for name in page if not entries[name]],
            "nextPageToken": page[-1] if len(page) < len(names) else None,
        }
        return {name: value for name, value in answer.items() if value}


def _with_checksum(content: bytes) -> tuple[bytes, str]:
    return content, base64.b64encode(google_crc32c.Checksum(content).digest()).decode()


def describe(bucket: str, name: str, content: bytes, checksum: str) -> dict[str, Any]:
    """Returns an object's resource."""
    return {
        "kind": "storage#object",
        "bucket": bucket,
        "name": name,
        "size": str(len(content)),
        "generation": "1",
        "crc32c": checksum,
        "updated": "2026-01-01T00:00:00Z",
    }


class Server:
    """Answers requests, and counts them."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.behave(Behaviour())

    def behave(self, behaviour: Behaviour) -> None:
        """Answers so from now on, and counts from 0."""
        self.behaviour = behaviour
        self.counts: Counter[str] = Counter()
        self._random = random.Random(behaviour.seed)
        self._at_once = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers the requests of one connection, one after the other."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.transport.set_write_buffer_limits(high=64 << 20)
            while not writer.transport.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                request, _, rest = head.partition("\r\n")
                lines = (line.partition(":") for line in rest.splitlines() if line)
                headers = {name.lower(): value.strip() for name, _, value in lines}
                method, target, _ = request.split()
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                await self._answer(writer, method, target, headers, body)
        writer.close()

    async def _answer(
        self,
        writer: asyncio.StreamWriter,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> None:
        url = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        found = _OBJECT.fullmatch(url.path)
        listing = _LISTING.fullmatch(url.path)
        if method == "POST":
            self.behave(Behaviour(**json.loads(body)))
            _send_json(writer, 200, {})
        elif url.path == "/counts":
            _send_json(writer, 200, self.counts)
        elif listing and listing[1] in self.objects.buckets:
            _send_json(writer, 200, self.objects.page(listing[1], query))
        elif found and unquote(found[2]) in self.objects.buckets.get(found[1], {}):
            bucket, name = found[1], unquote(found[2])
            content, checksum = self.objects.buckets[bucket][name]
            if query.get("alt") == "media":
                wanted = headers.get("range", "")
                start, stop = self.behaviour.broken.get(name, (0, 0))
                match = _RANGE.fullmatch(wanted)
                is_broken = start <= (int(match[1]) if match else 0) < stop
                await self._send_object(writer, content, checksum, wanted, is_broken=is_broken)
            else:
                _send_json(writer, 200, describe(bucket, name, content, checksum))
        else:
            _send_json(writer, 404, _refusal(404, "no such object"))

    async def _send_object(
        self,
        writer: asyncio.StreamWriter,
        content: bytes,
        checksum: str,
        wanted: str,
        *,
        is_broken: bool,
    ) -> None:
        behaviour = self.behaviour
        self._at_once += 1
        try:
            self.counts["reads"] += 1
            self.counts["most_at_once"] = max(self.counts["most_at_once"], self._at_once)
            delay = behaviour.delay_seconds
            delay += sum(s for share, s in behaviour.tails if self._random.random() < share)
            drawn = [
                fault for fault, share in behaviour.faults.items() if self._random.random() < share
            ]
            if behaviour.most_at_once and self._at_once > behaviour.most_at_once:
                drawn, delay = ["429"], 0.0
            if is_broken:
                drawn = ["503"]
            if delay:
                await asyncio.sleep(delay)
            fault = drawn[0] if drawn else ""
            self.counts[fault or "good"] += 1
            if fault in BUSY:
                _send_json(writer, int(fault), _refusal(int(fault), "try again"))
                return
            await self._send_media(writer, content, checksum, wanted, fault)
        finally:
            self._at_once -= 1

    async def _send_media(
        self, writer: asyncio.StreamWriter, content: bytes, checksum: str, wanted: str, fault: str
    ) -> None:
        status, size = "200 OK", len(content)
        extra = f"X-Goog-Hash: crc32c={checksum}\r\nX-Goog-Stored-Content-Length: {size}\r\n"
        if match := _RANGE.fullmatch(wanted):
            start = int(match[1])
            if start >= size:
                _send_json(writer, 416, _refusal(416, "beyond the end"))
                return
            content = content[start : int(match[2]) + 1 if match[2] else size]
            status = "206 Partial Content"
            extra += f"Content-Range: bytes {start}-{start + len(content) - 1}/{size}\r\n"
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{extra}\r\n".encode()
        half = len(content) // 2
        match fault:
            case "reset":
                writer.write(head + content[:half])
                await asyncio.sleep(0)
                linger = struct.pack("ii", 1, 0)  # Closing sends a reset.
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
                writer.transport.abort()
            case "short":
                writer.write(head + content[:-_WRONG_BYTES])
                writer.close()
            case "stall":
                writer.write(head + content[:half])
                await asyncio.sleep(_STALL_SECONDS)
            case "long":
                writer.write(head + content + b"x" * _WRONG_BYTES)
            case "checksum":
                writer.write(head + content[:-1] + bytes([content[-1] ^ 1]) if content else head)
            case _:
                if self.behaviour.bytes_per_second:
                    await asyncio.sleep(len(content) / self.behaviour.bytes_per_second)
                writer.write(head)
                if self.behaviour.seconds_a_byte:
                    for byte in content:
                        writer.write(bytes([byte]))
                        await asyncio.sleep(self.behaviour.seconds_a_byte)
                else:
                    writer.write(content)
                await writer.drain()


def _refusal(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "errors": [{"message": message}]}}


def _send_json(writer: asyncio.StreamWriter, code: int, answer: Mapping[str, Any]) -> None:
    content = json.dumps(answer).encode()
    head = f"HTTP/1.1 {code} -\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    writer.write(f"{head}\r\n\r\n".encode() + content)


async def run_server(directories: Sequence[pathlib.Path]) -> None:
    """Serves until standard input ends; prints the port first."""
    server = Server(Objects(directories))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=4096)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # Connections that stall would be waited for.


class RunningServer:
    """A server in a process of its own; `url` is for STORAGE_EMULATOR_HOST."""

    def __init__(self, url: str) -> None:
        self.url = url

    def behave(self, **behaviour: Any) -> None:  # noqa: ANN401 - of Behaviour's types
        """Answers so from now on, and counts from 0; see Behaviour."""
        body = json.dumps(dataclasses.asdict(Behaviour(**behaviour))).encode()
        urllib.request.urlopen(f"{self.url}/behaviour", body, timeout=60).close()

    def counts(self) -> Counter[str]:
        """Returns reads by how they were answered ("good" or a fault), reads, and most_at_once."""
        with urllib.request.urlopen(f"{self.url}/counts", timeout=60) as answer:
            return Counter(json.load(answer))


@contextlib.contextmanager
def run_storage_server(*directories: pathlib.Path) -> Iterator[RunningServer]:
    """Starts a server of these directories, each a bucket of its name."""
    command = [sys.executable, "-m", "scripts.benchmarks.storage_server", *map(str, directories)]
    root = pathlib.Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        yield RunningServer(f"http://127.0.0.1:{int(process.stdout.readline())}")
        process.stdin.close()


if __name__ == "__main__":
    asyncio.run(run_server([pathlib.Path(name).absolute() for name in sys.argv[1:]]))
