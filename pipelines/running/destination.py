"""Where a run goes: into a directory of its own, or beside its elders under a refresh root.

Both answer the same questions:

                 RunDirectory                 RefreshRoot
  flag           --output                     --output_root
  output         the directory                None: it is new, and chosen under the lock
  earlier        none, or what it completes   the newest run, before the lock
  basis          none, or what it completes   the newest run, under the lock
  root           None                         where LATEST is moved, and old runs are deleted
"""

import dataclasses
import datetime
import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.cli.refresh_flags import RefreshConfig
from pipelines.cli.run_flags import RunConfig, SingleRunConfig
from transforms.errors import OutputError
from transforms.files.uris import is_local
from transforms.inputs.source import Source
from transforms.lifecycle.basis import Basis, Fresh, complete, refresh
from transforms.lifecycle.staging import staging_path
from transforms.runs.directory import absolute_output
from transforms.runs.record import PublishedRun
from transforms.runs.root import RunRoot


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """The --output of embed and classify: one run, by a name that is known.

    Attributes:
        directory: Path or URI, absolute.
        completes: Run whose failures are computed again, if there is one.
    """

    directory: str
    completes: PublishedRun | None = None

    root = None

    @property
    def flag(self) -> str:
        """Flag and value by which the user named the output, for messages."""
        return f"--output {self.directory}"

    @property
    def staging(self) -> str:
        """Directory that a run works in until it is published."""
        return staging_path(self.directory)

    @property
    def output(self) -> str:
        """The directory of the run, which is known before it is claimed."""
        return self.directory

    def choose_output(self) -> str:
        """Returns the directory of the run."""
        return self.directory

    @property
    def earlier(self) -> PublishedRun | None:
        """Run that this one builds on, if there is one."""
        return self.completes

    def basis(self, recipe: Mapping[str, Any]) -> Basis:
        """Says what a run builds on.

        Raises:
            FlagError: If the run that it completes is of another recipe.
        """
        return Fresh() if self.completes is None else complete(self.completes, recipe)


@dataclasses.dataclass(frozen=True)
class RefreshRoot:
    """The --output_root of refresh: a new dated run each time, which builds on the newest.

    Attributes:
        root: Directory of the runs.
        max_deleted_fraction: Largest share of the newest run's images that may be gone.
    """

    root: RunRoot
    max_deleted_fraction: float

    output = None

    @property
    def directory(self) -> str:
        """Path or URI of the root, absolute."""
        return self.root.directory

    @property
    def flag(self) -> str:
        """Flag and value by which the user named the output, for messages."""
        return f"--output_root {self.directory}"

    @property
    def staging(self) -> str:
        """Directory that a run works in until it is published."""
        return self.root.staging

    def choose_output(self) -> str:
        """Names the directory of a new run. Ask under the lock, or two runs get one name."""
        return self.root.next_run(datetime.datetime.now(datetime.UTC))

    @functools.cached_property
    def earlier(self) -> PublishedRun | None:
        """Run that is the newest before this one has the lock, if there is one.

        Raises:
            InputError: If its record is damaged.
        """
        try:
            return self.root.read_newest()
        except OSError:  # Claiming the root says what is wrong with it.
            return None

    def basis(self, recipe: Mapping[str, Any]) -> Basis:
        """Says what a run builds on. Ask under the lock: another refresh may publish until then.

        Raises:
            InputError: If the newest run's record is damaged.
        """
        newest = self.root.read_newest(known=self.earlier)
        return Fresh() if newest is None else refresh(newest, recipe, self.max_deleted_fraction)


Destination = RunDirectory | RefreshRoot


def destination_of(config: RunConfig) -> Destination:
    """Returns the place that the flags name."""
    if isinstance(config, RefreshConfig):
        root = RunRoot(absolute_output(config.output_root), config.keep)
        return RefreshRoot(root, config.max_deleted_fraction)
    assert isinstance(config, SingleRunConfig), config
    return RunDirectory(absolute_output(config.output))


def keep_apart(destination: Destination, sources: Sequence[Source]) -> None:
    """Checks that no input holds the output, whose files would be read as images.

    Raises:
        OutputError: If one does.
    """
    for source in sources:
        root, target = source.root, destination.directory
        if is_local(target):
            root, target = os.path.realpath(root), os.path.realpath(target)
        is_deep = source.is_directory or "**" in source.pattern
        if is_deep and f"{target}/".startswith(f"{root}/"):
            raise OutputError(
                f"{destination.flag} is inside --input {source.root}, and would be read by the next"
                " run; choose a directory beside it"
            )
