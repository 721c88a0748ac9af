"""python -m pipelines.refresh: a new run from the one before, computing only what changed."""

import datetime
from collections.abc import Sequence

from pipelines.classify import class_outputs
from pipelines.cli.refresh_flags import RefreshConfig
from pipelines.embed import embedding_outputs
from pipelines.running.program import run_program
from transforms.machine.garbage import exit_at_once, importing
from transforms.machine.tensorflow_runtime import import_tensorflow

DESCRIPTION = """\
Keeps the vectors or labels of a collection up to date, for a scheduler: builds on the newest run
under --output_root, computes only images that are new or changed, drops those that are gone, and
publishes a new dated run beside the old ones. LATEST in --output_root names the run to read.

  python -m pipelines.refresh --input photos/ --model feature_vector_model/ \\
      --output_root vectors/ --keep 7 --resume
  python -m pipelines.refresh --program classify --input photos/ --model classifier/ \\
      --output_root labels/ --canaries canaries/"""


def run(config: RefreshConfig, beam_argv: Sequence[str]) -> int:
    """Refreshes; returns the exit code."""
    with importing():  # Beam and TensorFlow: --help does not wait for them.
        import_tensorflow()
        from pipelines.running.execute import execute
        from pipelines.running.forecast import forecast_run
        from pipelines.running.launch import keep_apart, prepare_launch
        from pipelines.running.noted_flags import with_model_notes
        from pipelines.running.run_plan import plan_run
        from transforms.lifecycle.claim import claim_output, unclaimed
        from transforms.lifecycle.outlook import look_at_output
        from transforms.models.handle import resolve_model
        from transforms.runs.directory import absolute_output
        from transforms.runs.root import RunRoot

    model_dir = resolve_model(config.model)
    config = with_model_notes(config, model_dir)
    make_outputs = embedding_outputs(config) if config.program == "embed" else class_outputs(config)
    launch = prepare_launch(config, model_dir, program=config.program, make_outputs=make_outputs)
    directory = absolute_output(config.output_root)
    flag = f"--output_root {directory}"
    keep_apart(flag, directory, launch.sources)
    root = RunRoot(directory, config.keep)
    if config.plan:
        found = look_at_output(
            None,
            root.staging,
            launch.plan_record,
            flag=flag,
            resume=config.resume,
            overwrite=config.overwrite,
        )
        previous = root.read_newest()
        plan = plan_run(
            launch,
            unclaimed(directory),
            root.staging,
            previous=previous,
            root=root,
            max_deleted_fraction=config.max_deleted_fraction,
        )
        return forecast_run(launch, plan, config, beam_argv, output=found, previous=previous)
    with claim_output(
        lambda: root.next_run(datetime.datetime.now(datetime.UTC)),
        root.staging,
        launch.plan_record,
        flag=flag,
        resume=config.resume,
        overwrite=config.overwrite,
    ) as claim:
        plan = plan_run(
            launch,
            claim,
            root.staging,
            previous=root.read_newest(),
            root=root,
            max_deleted_fraction=config.max_deleted_fraction,
        )
        return execute(plan, beam_argv, claim.hold)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    return run_program(
        argv, program="refresh", config_class=RefreshConfig, description=DESCRIPTION, run=run
    )


if __name__ == "__main__":
    exit_at_once(main())
