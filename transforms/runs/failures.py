"""Failures as lines of failures.jsonl."""

import dataclasses
import json

from transforms.records import Failure


def failure_line(failure: Failure) -> str:
    """Returns one line of failures.jsonl, with its newline."""
    return json.dumps(dataclasses.asdict(failure), ensure_ascii=False) + "\n"
