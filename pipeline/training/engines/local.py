"""Training in this process, on one device, without Ray: the same loop as on Ray's workers."""

from __future__ import annotations

from collections.abc import Callable

import torch

from pipeline.errors import JobError
from pipeline.storage.folder import Folder
from pipeline.training.loop import Loop, ProgressCallback, TrainingResult
from pipeline.training.options import TrainingOptions
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.world import World


def train_here(
    recipe: TrainingRecipe,
    output: Folder,
    options: TrainingOptions,
    on_progress: ProgressCallback,
    stopping: Callable[[], bool],
) -> TrainingResult:
    """Runs the loop to its end; raises what it raises."""
    use_threads(options.threads)
    device = device_of(options.device)
    return Loop(recipe, output, World(device=device), on_progress, stopping, options.trace)()


def use_threads(threads: int | None) -> None:
    """So many of torch's mathematics; as they are where nothing is said."""
    if threads is not None:
        torch.set_num_threads(threads)


def device_of(name: str | None) -> torch.device:
    """The device of this name, or the best there is; ``JobError`` where it is not there."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise JobError(f"--device {name}: {str(error).splitlines()[0]}") from None
    return device
