"""Commands that make restorers: train, generate and publish."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.arguments import Private, Profile, RayAddress

if TYPE_CHECKING:
    from pipeline.training.recipe.recipe import TrainingRecipe


class TrainingEngineName(StrEnum):
    """What runs the training."""

    RAY = "ray"
    LOCAL = "local"


TrainingEngine = Annotated[
    TrainingEngineName,
    typer.Option(
        "--engine", help="ray: several workers, on this machine or a cluster. local: one, in this process."
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="A value of the recipe, such as batch=8; repeat it."),
]


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What to train; see conf/train/.")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="A folder: a path or any fsspec URL.")],
    data: Annotated[
        str | None, typer.Option("--data", metavar="URL", help="Images to train on, instead of the recipe's.")
    ] = None,
    validate: Annotated[
        str | None,
        typer.Option("--validate", metavar="URL", help="Images to score on, instead of the recipe's."),
    ] = None,
    private: Private = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Length of the run.")] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Length of the run by the clock.")
    ] = None,
    sets: Sets = None,
    publish: Annotated[
        str | None,
        typer.Option("--publish", metavar="URL", help="A folder of weights with an index to add these to."),
    ] = None,
    profile: Profile = None,
    engine: TrainingEngine = TrainingEngineName.RAY,
    ray_address: RayAddress = None,
    workers: Annotated[
        str | None, typer.Option("--workers", metavar="N or N-M", help="Workers on Ray; a range is elastic.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Of the local engine: cpu, cuda ...; else the best.")
    ] = None,
    trace: Annotated[
        int | None,
        typer.Option("--trace", min=1, metavar="STEPS", help="Trace so many steps into OUT/trace.json."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Of the local engine; else all cores.")
    ] = None,
) -> None:
    """Train a network and write its weights, which `restora restore --restorer` takes at once.

    Running it again goes on from the newest checkpoint, so it is also how to go on after a stop.
    """
    from flows.cli.training_session import run_training
    from pipeline.training.options import TrainingOptions
    from pipeline.training.recipe.recipe import TrainingRecipe

    given = _overrides(data, validate, private, steps, minutes, workers) + tuple(sets or ())
    parsed: TrainingRecipe = TrainingRecipe.from_toml(recipe, given)
    options = TrainingOptions(engine.value, ray_address, device, trace, threads)
    run_training(parsed, out, options, profile=profile, publish=publish)


def generate(
    weights: Annotated[
        str,
        typer.Argument(metavar="WEIGHTS", help="A generator's safetensors file, or a shipped one's name."),
    ],
    out: Annotated[str, typer.Argument(metavar="OUT", help="A folder: a path or any fsspec URL.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many images.")] = 64,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed draws other images.")] = 0,
    profile: Profile = None,
    device: Annotated[str | None, typer.Option("--device", help="cpu, cuda ...; else the best.")] = None,
) -> None:
    """Draw images from a trained generator: PNG files and a sheet of all of them."""
    from flows.addresses import profile_for
    from flows.cli.console import say
    from pipeline.training.generate import generate as draw

    sheet = draw(weights, out, count=count, seed=seed, profile=profile_for(out, profile), device=device)
    say(f"images   {out}")
    say(f"sheet    {sheet}")


def _overrides(
    data: str | None,
    validate: str | None,
    private: bool | None,
    steps: int | None,
    minutes: float | None,
    workers: str | None,
) -> tuple[str, ...]:
    """The options as ``path=value`` lines, quoted as TOML wants it."""
    if private is not None and data is None and validate is None:
        raise typer.BadParameter("says what --data and --validate are; give one", param_hint="--private")
    found = []
    if data is not None:
        found.append(f"data.datasets={_dataset('train', data, private)}")
    if validate is not None:
        found.append(f"validation.datasets={_dataset('validate', validate, private)}")
    if steps is not None or minutes is not None:
        both = {"steps": steps, "minutes": minutes}
        found.append(
            "length={"
            + ", ".join(f"{name} = {value}" for name, value in both.items() if value is not None)
            + "}"
        )
    if workers is not None:
        low, mark, high = workers.partition("-")
        found.append(f"resources.workers=[{low}, {high}]" if mark else f"resources.workers={workers}")
    return tuple(found)


def _dataset(name: str, url: str, private: bool | None) -> str:
    declared = "" if private is None else f", private = {str(private).lower()}"
    quoted = url.replace("\\", "\\\\").replace('"', '\\"')
    return f'[{{ name = "{name}", uri = "{quoted}"{declared} }}]'
