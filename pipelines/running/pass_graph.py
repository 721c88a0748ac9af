"""The pipeline of several runs in one pass; what they share is done once.

MatchInputs ─▶ PlanShards, once for runs that plan the same shards
   └─▶ KeepFinished, a run each ─▶ ShareShards ─▶ ReadShared ─▶ PreprocessShared
                                                                     │ a run each
            Publish ◀─ WriteShards ◀─ ToEmbeddings | ToTopK ◀─ RunInference, a model each
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PBegin, PCollection

from pipelines.running.graph import (
    Planned,
    infer_and_write,
    keep_finished,
    match_inputs,
    plan_shards,
    publish,
    read_policy,
    tabulate_and_write,
)
from pipelines.running.launch import Launch
from pipelines.running.run_plan import RunPlan
from transforms.lifecycle.basis import Fresh
from transforms.results import ShardResult
from transforms.steps.batch_coder import register_batch_coder
from transforms.steps.decode_ahead import Handler
from transforms.steps.infer_shared import InferShared
from transforms.steps.launched_model import make_handler, make_shared_handler
from transforms.steps.match_inputs import Listed
from transforms.steps.plan_coder import register_plan_coder
from transforms.steps.preprocess_shared import PreprocessShared, RunPixels
from transforms.steps.read_shared import ReadShared
from transforms.steps.saved_model_handler import SavedModelHandler
from transforms.steps.share_shards import SharedShard, ShareShards


def define_pass(root: beam.Pipeline, plans: Sequence[RunPlan]) -> None:
    """Adds the pipeline of several runs to root; runs nothing.

    Args:
        root: The pipeline.
        plans: The runs, which read the same inputs in the same way.
    """
    register_batch_coder()
    register_plan_coder()
    planned = _plan_once(root, plans)
    kept = [
        planned[run].shards | f"Keep{run}" >> _Part(functools.partial(keep_finished, plan))
        for run, plan in enumerate(plans)
    ]
    written = (
        tuple(of_run.unfinished for of_run in kept)
        | "ShareShards" >> ShareShards()
        | "ComputeShards" >> _ComputeShared(plans).with_resource_hints(**plans[0].launch.hints)
    )
    for run, plan in enumerate(plans):
        written[run] | f"Finish{run}" >> _Part(
            functools.partial(publish, plan, planned[run], kept[run], is_alone=False)
        )


def _plan_once(root: beam.Pipeline, plans: Sequence[RunPlan]) -> list[Planned]:
    """Lists the inputs once, and plans the shards once for all runs that plan the same ones."""
    listed = root | "ListInputs" >> _Part(
        lambda begin: match_inputs(plans[0]).list_inputs(begin.pipeline)
    )
    alike: dict[Hashable, list[int]] = {}
    for run, plan in enumerate(plans):
        # What builds on an earlier run plans and divides with an eye on that.
        is_fresh = isinstance(plan.basis, Fresh)
        alike.setdefault(plan.places_by_content if is_fresh else f"run {run}", []).append(run)
    planned: dict[int, Planned] = {}
    for runs in alike.values():
        first = runs[0]
        made = root | f"Plan{first}" >> _Part(
            functools.partial(_plan_shards, plans[first], listed, len(runs))
        )
        planned |= dict.fromkeys(runs, made)
    return [planned[run] for run in range(len(plans))]


def _plan_shards(plan: RunPlan, listed: Listed, runs: int, begin: PBegin) -> Planned:
    return plan_shards(begin.pipeline, plan, listed, runs)


class _Part(beam.PTransform[Any, Any]):
    """What a function adds to the graph, under a name of its own."""

    def __init__(self, add: Callable[[Any], Any]) -> None:
        """Keeps the function, which is given what comes in, and returns what goes out."""
        super().__init__()
        self._add = add

    @beam.typehints.no_annotations
    def expand(self, given: Any) -> Any:  # noqa: ANN401 - of any function
        """Calls the function."""
        return self._add(given)


@dataclasses.dataclass(eq=False)
class _ComputeShared(
    beam.PTransform[PCollection[SharedShard], tuple[PCollection[ShardResult], ...]]
):
    """Reads and decodes once, and infers and writes for each run: one fused chain."""

    plans: Sequence[RunPlan]

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, shards: PCollection[SharedShard]) -> tuple[PCollection[ShardResult], ...]:
        launches = [plan.launch for plan in self.plans]
        computed = {run: read_policy(plan).computed_columns for run, plan in enumerate(self.plans)}
        wanted = [
            RunPixels(
                plan.launch.policy, plan.publication.staging, plan.launch.config.image_statistics
            )
            for plan in self.plans
        ]
        groups = _by_model(self.plans)
        handlers = [_handler(launches, runs) for runs in groups]
        threads = launches[0].config.num_model_threads
        pixels = (
            shards
            | "ReadShared" >> ReadShared(read_policy(self.plans[0]), computed)
            | "PreprocessShared" >> PreprocessShared(wanted, groups, threads, handlers)
        )
        written: dict[int, PCollection[ShardResult]] = {}
        for runs, handler, own in zip(groups, handlers, pixels, strict=True):
            if isinstance(handler, SavedModelHandler):
                inferring = functools.partial(infer_and_write, self.plans[runs[0]], handler)
                written[runs[0]] = own | f"Run{runs[0]}" >> _Part(inferring)
                continue
            predictions = own | f"Model{runs[0]}" >> InferShared(handler, runs)
            for run, of_run in zip(runs, predictions, strict=True):
                written[run] = of_run | f"Run{run}" >> _Part(
                    functools.partial(tabulate_and_write, self.plans[run])
                )
        return tuple(written[run] for run in range(len(self.plans)))


def _handler(launches: Sequence[Launch], runs: Sequence[int]) -> Handler:
    """Returns what loads and runs the model of some runs."""
    engine = launches[runs[0]].engine
    if len(runs) == 1:
        return make_handler(launches[runs[0]].model, engine)
    return make_shared_handler({run: launches[run].model for run in runs}, engine)


def _by_model(plans: Sequence[RunPlan]) -> list[list[int]]:
    """Puts runs together that give the same pixels to one model, if to several of its outputs."""
    alike: dict[Hashable, list[int]] = {}
    for run, plan in enumerate(plans):
        launch = plan.launch
        model = launch.model
        call = dataclasses.replace(model.spec, output_key="", output_rank=None, output_dim=None)
        # The file of a model in int8 lies with each run.
        quantized = launch.engine.quantized
        engine = dataclasses.replace(launch.engine, quantized=None)
        own = quantized and quantized.sha256
        key = (model.fingerprint, call, model.assumed_range, launch.policy, engine, own)
        alike.setdefault(key, []).append(run)
    return list(alike.values())
