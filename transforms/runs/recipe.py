"""What decides a row, as one comparable value: the recipe of a run, and a shard's fingerprint."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from transforms.records import Shard


def fingerprint_json(value: Mapping[str, Any]) -> str:
    """Returns the sha256, hexadecimal, of a value's canonical JSON."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def has_statistics(recipe: Mapping[str, Any]) -> bool:
    """Returns whether a run measures its images; runs of before say nothing of it."""
    return bool(recipe["outputs"].get("image_statistics", False))


def fingerprint_shard(base: str, shard: Shard) -> str:
    """Computes what a shard's rows depend on: what all shards share, and its own inputs in order.

    Its number is no part of it: a shard with the same inputs has the same rows.

    Args:
        base: Fingerprint of the recipe and the columns, or what else a shard is of.
        shard: The shard.
    """
    digest = hashlib.sha256(f"{base} {shard.kind}\n".encode())
    for file in shard.files:
        digest.update(repr((file.uri, file.root, file.size_bytes, file.version)).encode())
        if file.span is not None:
            digest.update(repr(dataclasses.astuple(file.span)).encode())
    for ref in shard.refs:
        listed = (ref.image_id, ref.uri, ref.size_bytes, ref.version, ref.carried)
        digest.update(repr(listed).encode())
    return digest.hexdigest()


def differences(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Compares two values of JSON's types.

    Returns:
        What differs, by dotted name: "was ..., is ...".
    """
    before, after = (dict(_flat(value, "")) for value in (earlier, now))
    return {
        name: f"was {_brief(before.get(name))}, is {_brief(after.get(name))}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }


def describe_differences(found: Mapping[str, str]) -> str:
    """Says what differs, on one line."""
    return "; ".join(f"{name} {what}" for name, what in found.items())


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, part in value.items():
        if isinstance(part, Mapping):
            yield from _flat(part, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", list(part) if isinstance(part, tuple) else part


def _brief(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else f"{text[:39]}…"
