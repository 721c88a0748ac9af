"""A published run against its own _run.json: every file, every row, every count."""

import hashlib
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from transforms.errors import InputError, brief
from transforms.files.file_systems import FileSystems, list_files
from transforms.files.uris import open_uri
from transforms.records import ShardKind, WrittenFile
from transforms.results import ShardResult
from transforms.runs.directory import (
    EARLIER_NAMES,
    FAILURES_FILE,
    IN_PLACE_STAGING,
    INT8_FILE,
    RUN_FILE,
    SUCCESS_FILE,
)
from transforms.runs.failures import read_failed_ids
from transforms.runs.finding import Finding
from transforms.runs.footers import value_at
from transforms.runs.image_ids import digest_ids, read_ids
from transforms.runs.record import name_by, read_record
from transforms.runs.rows import DAMAGE
from transforms.verify.account_checks import (
    Digests,
    Inputs,
    check_failure_lines,
    check_inputs,
    first_id,
    read_failure_lines,
    to_digests,
)
from transforms.verify.data_checks import check_data
from transforms.verify.record_checks import check_counts, check_files, check_form, read_entries

_CHUNK_BYTES = 1 << 20


class Verification:
    """The checks of one run.

    Memory is that of one batch of rows, one shard's inputs file, and 8 bytes a row of the run.

    Args:
        directory: The run, as absolute_output makes it.
        allow_zero_vectors: Whether a vector may be 0 throughout.

    Attributes:
        record: The content of _run.json, once it is read.
        shards: The shards whose entry in _run.json is well formed.
        embedding_dim: Length of the vectors, once it is known.
    """

    def __init__(self, directory: str, *, allow_zero_vectors: bool = False) -> None:
        self.record: dict[str, Any] = {}
        self.shards: list[ShardResult] = []
        self.embedding_dim: int | None = None
        self._directory = directory
        self._allow_zero_vectors = allow_zero_vectors
        self._sizes: dict[str, int] = {}
        self._first: pa.Schema | None = None
        self._read: list[str] = []
        self._digests = bytearray()
        self._inputs: list[str] = []
        self._failed_digests = bytearray()

    def findings(self) -> Iterator[Finding]:
        """Does the checks; yields what is wrong as it is found."""
        self._sizes = {
            found.path.removeprefix(f"{self._directory}/"): found.size_in_bytes
            for found in list_files(self._directory)
        }
        if SUCCESS_FILE not in self._sizes:
            yield _missing(SUCCESS_FILE, "one: without it this is no published run")
        if not {RUN_FILE, EARLIER_NAMES[RUN_FILE]} & self._sizes.keys():
            yield _missing(RUN_FILE, "one: nothing else can be checked")
            return
        try:
            self.record = read_record(self._directory)
        except InputError as error:
            got = brief(error.__cause__) if isinstance(error.__cause__, Exception) else "no object"
            yield Finding(RUN_FILE, "unreadable", got, "JSON: nothing else can be checked")
            return
        faults = list(check_form(self.record))
        yield from faults
        if not faults:
            yield from self._check_contents()

    def _check_contents(self) -> Iterator[Finding]:
        self.shards = yield from read_entries(self.record, self._directory)
        if self.record["recipe"]["program"] == "embed":
            declared = value_at(self.record, "model.output_dim")
            self.embedding_dim = declared if isinstance(declared, int) else None
        if len(self.shards) == len(self.record["files"]):
            yield from check_counts(self.record, self.shards)
            yield from check_files(self.shards)
        yield from self._check_names()
        yield from self._check_int8_model()
        for shard in self.shards:
            yield from self._check_shard(shard)
        yield from self._check_failures()
        yield from self._check_unique()

    def _check_names(self) -> Iterator[Finding]:
        known = {SUCCESS_FILE, *(name_by(self.record, name) for name in EARLIER_NAMES)}
        if "quantization" in self.record:
            known.add(INT8_FILE)
        for entry in self.record["files"]:
            known |= {str(value_at(entry, "path")), str(value_at(entry, "inputs.path"))}
        for name, size in sorted(self._sizes.items()):
            if name not in known and not name.startswith(f"{IN_PLACE_STAGING}/"):
                yield Finding(name, "foreign", f"{size} bytes", "only files that _run.json names")

    def _check_int8_model(self) -> Iterator[Finding]:
        if "quantization" in self.record:
            sha256 = str(value_at(self.record, "quantization.sha256"))
            size_bytes = value_at(self.record, "quantization.size_bytes")
            path = FileSystems.join(self._directory, INT8_FILE)
            fault = self._find_damage(WrittenFile(path, size_bytes, sha256))
            if fault is not None:
                yield fault

    def _check_shard(self, shard: ShardResult) -> Iterator[Finding]:
        inputs = yield from self._check_inputs(shard)
        rows = yield from self._check_data(shard)
        if inputs is None or rows is None or shard.kind is not ShardKind.IMAGES:
            return
        given = to_digests(inputs.ids(failed=False))
        name, data = self._name(shard.inputs), self._name(shard.data)
        for lost in _difference(given, rows, inputs.ids(failed=False)):
            yield Finding(name, "image_ids", f"{lost} without a row", f"a row in {data} for each")
        for new in _difference(rows, given, (i for i, _ in read_ids(shard.data.path))):
            yield Finding(data, "image_ids", f"{new} not given to it", f"those of {name}")

    def _check_inputs(self, shard: ShardResult) -> Generator[Finding, None, Inputs | None]:
        name = self._name(shard.inputs)
        fault = self._find_damage(shard.inputs)
        if fault is None:
            try:
                inputs = Inputs(shard.inputs.path)
                faults = list(check_inputs(name, inputs, shard, self.record))
                yield from faults
                if any(fault.what == "columns" for fault in faults):
                    return None
                self._failed_digests += to_digests(inputs.ids(failed=True)).tobytes()
            except DAMAGE as error:
                fault = Finding(name, "unreadable", brief(error), "an Arrow file")
            else:
                self._inputs.append(shard.inputs.path)
                return inputs
        yield fault
        return None

    def _check_data(self, shard: ShardResult) -> Generator[Finding, None, Digests | None]:
        """Checks a data file; returns the digests of its ids, if it can be read."""
        fault = self._find_damage(shard.data)
        if fault is not None:
            yield fault
            return None
        rows = yield from check_data(
            self._name(shard.data),
            shard,
            self.record,
            allow_zero_vectors=self._allow_zero_vectors,
            embedding_dim=self.embedding_dim,
            first=self._first,
        )
        if rows is None:
            return None
        self.embedding_dim = self.embedding_dim or rows.embedding_dim
        self._first = self._first or rows.schema
        self._read.append(shard.data.path)
        self._digests += rows.id_digests
        return np.frombuffer(rows.id_digests, np.uint64)

    def _check_failures(self) -> Iterator[Finding]:
        name = name_by(self.record, FAILURES_FILE)
        path = FileSystems.join(self._directory, name)
        if name not in self._sizes:
            yield _missing(name, "one, empty if nothing failed")
            return
        try:
            lines = read_failure_lines(path)
        except DAMAGE as error:
            yield Finding(name, "unreadable", brief(error), "a file of JSON lines")
            return
        yield from check_failure_lines(lines, self.record)
        if lines.malformed or len(self._inputs) < len(self.record["files"]):
            return
        told = np.frombuffer(lines.digests, np.uint64)
        failed = np.frombuffer(self._failed_digests, np.uint64)
        for lost in _difference(failed, told, self._failed_ids()):
            yield Finding(name, "image_ids", f"{lost} left out", "each failure in _inputs")
        for new in _difference(told, failed, read_failed_ids(path)):
            yield Finding(name, "image_ids", f"{new} that did not fail", "failures only")

    def _failed_ids(self) -> Iterator[str]:
        for path in self._inputs:
            yield from Inputs(path).ids(failed=True)

    def _check_unique(self) -> Iterator[Finding]:
        digests = np.frombuffer(self._digests, np.uint64)
        digests.sort()  # In place: a copy would be another 8 bytes a row.
        twice = digests[1:][digests[1:] == digests[:-1]]
        suspects = {digest.tobytes() for digest in twice}
        if not suspects:
            return
        # Two ids may share a digest; only one id in two rows is a finding.
        where: dict[str, str] = {}
        for path in self._read:
            name = path.removeprefix(f"{self._directory}/")
            repeats = 0
            first = ""
            for image_id, _ in read_ids(path):
                if digest_ids([image_id]) not in suspects:
                    continue
                if image_id in where:
                    first = first or f"{image_id!r} after {where[image_id]}"
                    repeats += 1
                where.setdefault(image_id, name)
            if repeats:
                got = f"{repeats} that an earlier row has, first {first}"
                yield Finding(name, "image_ids", got, "each in one row")

    def _find_damage(self, file: WrittenFile) -> Finding | None:
        """Compares a file's size and sha256 with what _run.json says."""
        name = self._name(file)
        if name not in self._sizes:
            return _missing(name, f"one of {file.size_bytes} bytes")
        size = self._sizes[name]
        if size != file.size_bytes:
            return Finding(name, "size", f"{size} bytes", f"{file.size_bytes}, by _run.json")
        try:
            found = _hash_file(file.path)
        except DAMAGE as error:
            return Finding(name, "unreadable", brief(error), "a file that can be read whole")
        if found != file.sha256:
            return Finding(name, "sha256", found, f"{file.sha256}, by _run.json")
        return None

    def _name(self, file: WrittenFile) -> str:
        return file.path.removeprefix(f"{self._directory}/")


def _difference(some: Digests, others: Digests, ids: Iterator[str]) -> Iterator[str]:
    """Says how many ids are among some and not among others, and which is the first, if any."""
    alone = np.setdiff1d(some, others)
    if alone.size:
        yield f"{alone.size} (first {first_id(ids, alone)!r})"


def _missing(name: str, wanted: str) -> Finding:
    return Finding(name, "missing", "no file", wanted)


def _hash_file(path: str) -> str:
    digest = hashlib.sha256()
    with open_uri(path) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
