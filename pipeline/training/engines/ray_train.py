"""Training on Ray Train: the same loop on several workers, gradients shared by DistributedDataParallel.

Ray places, watches and restarts the workers; what is done is known from our own checkpoints alone, so that
a worker, a node or the driver may die at any time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import ray
import torch

from pipeline.engines.ray_session import SESSION
from pipeline.errors import JobError, RestoraError, RunStopped, StorageError, describe
from pipeline.storage.folder import Folder
from pipeline.storage.scratch import scratch
from pipeline.training.engines.mailbox import Mailbox
from pipeline.training.loop import Loop, ProgressCallback, ProgressEvent, TrainingResult
from pipeline.training.options import TrainingOptions
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.world import World

RESTARTS = 5
"""Deaths of workers in one session, after which someone should look."""
POLL = 0.25
"""Seconds between two looks at the mailbox."""

SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # else two seconds until an end or a death is noticed
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process, for warnings that our checkpoints need not
}
"""Of Ray Train, where the environment does not say otherwise."""

ERRORS: dict[str, type[RestoraError]] = {
    each.__name__: each for each in (JobError, RunStopped, StorageError, RestoraError)
}


def train_on_ray(
    recipe: TrainingRecipe,
    output: Folder,
    options: TrainingOptions,
    on_progress: ProgressCallback,
    stopping: Callable[[], bool],
) -> TrainingResult:
    """Runs the loop on the recipe's workers; raises what it raises."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    train = _ray_train()
    SESSION.start(options.ray_address)
    try:
        SESSION.wait()
        _check_resources(recipe)
        mailbox: Any = ray.remote(num_cpus=0)(Mailbox).remote()
        with scratch("train") as place:
            trainer = train.torch.TorchTrainer(
                _work,
                train_loop_config={
                    "recipe": recipe.model_dump_json(),
                    "output": output,
                    "mailbox": mailbox,
                    "trace": options.trace,
                },
                scaling_config=_scaling(recipe, train),
                run_config=train.RunConfig(
                    name="restora",
                    # Our checkpoints are in the output; Ray keeps its own files here. Workers elsewhere need
                    # a shared place.
                    storage_path=str(place) if SESSION.is_local else output.child("ray").url,
                    failure_config=train.FailureConfig(max_failures=RESTARTS),
                    logging_config=train.LoggingConfig(log_level="ERROR"),
                ),
            )
            return _watched(trainer, mailbox, on_progress, stopping)
    finally:
        SESSION.stop()


def _work(config: dict[str, Any]) -> None:
    """A worker's part. An error that all workers meet alike ends the run; others end this worker."""
    from ray.train import get_context
    from ray.train.torch import get_device

    recipe, mailbox = TrainingRecipe.model_validate_json(config["recipe"]), config["mailbox"]
    device: Any = get_device()
    if device.type == "cpu":
        torch.set_num_threads(max(1, int(recipe.resources.cpus_per_worker)))
    context = get_context()
    world = World(context.get_world_rank(), context.get_world_size(), device)
    try:
        told, stopping = _progress_to(mailbox), _stopping(mailbox, world)
        finished = Loop(recipe, config["output"], world, told, stopping, config["trace"])()
        if world.leads:
            ray.get(mailbox.conclude.remote({"finished": asdict(finished)}))
    except RestoraError as error:
        kind = type(error).__name__ if type(error).__name__ in ERRORS else "RestoraError"
        ray.get(mailbox.conclude.remote({"error": kind, "message": str(error)}))
        if not isinstance(error, JobError | RunStopped):
            raise  # perhaps only here: the others would wait for this worker


def _progress_to(mailbox: Any) -> ProgressCallback:
    return lambda event: mailbox.post.remote(asdict(event))


def _stopping(mailbox: Any, world: World) -> Callable[[], bool]:
    asked_at = float("-inf")

    def stopping() -> bool:
        nonlocal asked_at
        # Asked after every step where there is one worker; a round trip for each would cost short ones dear.
        if not world.leads or time.monotonic() - asked_at < POLL:
            return False
        asked_at = time.monotonic()
        return bool(ray.get(mailbox.stopping.remote()))

    return stopping


def _watched(
    trainer: Any, mailbox: Any, on_progress: ProgressCallback, stopping: Callable[[], bool]
) -> TrainingResult:
    """Passes events on until the run is over. On a thread, Ray Train leaves Ctrl-C to us."""
    fault: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=fit, name="ray-train", daemon=True)
    thread.start()
    asked = False
    while thread.is_alive():
        _pass_on(mailbox, on_progress)
        if stopping() and not asked:
            asked = True
            ray.get(mailbox.stop.remote())
        time.sleep(POLL)
    outcome = _pass_on(mailbox, on_progress)
    if "error" in outcome:
        raise ERRORS[outcome["error"]](outcome["message"])
    if fault:
        raise RunStopped(
            f"the workers failed {RESTARTS + 1} times, the last time with {describe(fault[0])}; the same "
            "command goes on from the newest checkpoint"
        ) from fault[0]
    return TrainingResult(**outcome["finished"])


def _pass_on(mailbox: Any, on_progress: ProgressCallback) -> dict[str, Any]:
    events, outcome = ray.get(mailbox.read.remote())
    for each in events:
        on_progress(ProgressEvent(**each))
    result: dict[str, Any] = outcome
    return result


def _scaling(recipe: TrainingRecipe, train: Any) -> Any:
    low, high = recipe.workers
    resources = recipe.resources
    per_worker = {"CPU": resources.cpus_per_worker}
    if resources.gpus_per_worker:
        per_worker["GPU"] = resources.gpus_per_worker
    return train.ScalingConfig(
        num_workers=low if low == high else (low, high),
        use_gpu=resources.gpus_per_worker > 0,
        resources_per_worker=per_worker,
    )


def _check_resources(recipe: TrainingRecipe) -> None:
    """``JobError`` saying what is missing; Ray itself would wait for it."""
    low, resources = recipe.workers[0], recipe.resources
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    for name, each in (("CPU", resources.cpus_per_worker), ("GPU", resources.gpus_per_worker)):
        if not each:
            continue
        there = sum(node.get(name, 0.0) for node in nodes)
        fitting = sum(int(node.get(name, 0.0) / each) for node in nodes)
        if fitting < low:
            raise JobError(
                f"resources.workers: {low} workers of {each:g} {name} each, but the cluster has {there:g} "
                f"{name}, enough for {fitting}; lower --workers or resources.{name.lower()}s_per_worker"
            )


def _ray_train() -> Any:
    try:
        import ray.train
        import ray.train.torch

        return ray.train
    except ImportError as error:
        raise JobError(
            f'--engine ray: Ray Train needs {error.name}; pip install "restora[train]", or --engine local'
        ) from error
