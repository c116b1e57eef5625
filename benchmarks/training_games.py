"""Four adversarial games on the same networks, photographs and steps: does any of them diverge?

``python benchmarks/training_games.py PHOTOGRAPHS OUT``. DCGAN of half the width on crops shrunk to ``--side``
pixels; ``frechet_lite0`` is the distance of the averaged generator's images from as many crops, at the first
validation and at the end. Started again, it goes on where it was.
"""

from __future__ import annotations

import argparse
import io
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pyarrow.parquet as pq

from pipeline.storage.folder import Folder
from pipeline.training.options import TrainingOptions
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.run import absolute, train

RECIPE = Path(__file__).parent.parent / "conf" / "train" / "dcgan-small.toml"
SCORE = "validation_generated_frechet_lite0"
CROP = 128

GAMES: dict[str, tuple[str, ...]] = {
    "vanilla": (),
    "least_squares": (),
    "hinge": ('discriminator.arguments.normalisation="spectral"',),
    "wasserstein": (
        'discriminator.arguments.normalisation="instance"',
        'discriminator.penalty={ name = "gradient", weight = 10.0 }',
        "discriminator.steps=2",
        "discriminator.optimizer.betas=[0.0, 0.9]",
        "optimizer.betas=[0.0, 0.9]",
    ),
}
"""Game -> what it needs beside its name: the papers' normalisation, penalty and momentum."""


def main() -> None:
    """Prints one line a game."""
    chosen = arguments()
    for game in chosen.games.split(","):
        rows = played(game, chosen)
        scores = {row["step"]: row[SCORE] for row in rows if row.get(SCORE) is not None}
        first, last = min(scores), max(scores)
        fall = scores[last] / scores[first]
        print(
            f"{game:14} {last} steps, {rows[-1]['seconds'] / 60:.1f} min: frechet_lite0 {scores[first]:.1f} "
            f"at step {first}, {scores[last]:.1f} at the end, {fall:.2f} of it; {curve(rows)}",
            flush=True,
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs")
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--side", type=int, default=32, choices=(16, 32, 64))
    parser.add_argument("--images", type=int, default=512, help="Of each kind in a distance.")
    parser.add_argument("--games", default=",".join(GAMES))
    return parser.parse_args()


def played(game: str, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of the run's table; ``RunStopped`` where it diverged."""
    side = chosen.side
    dataset = f'[{{ name = "photographs", uri = "{chosen.photographs}" }}]'
    given = (
        f"name={game}",
        f"length={{ steps = {chosen.steps} }}",
        f"data.datasets={dataset}",
        f"data.crop={CROP}",
        f"data.downsample={CROP // side}",
        f"network.arguments.image_size={side}",
        f"discriminator.arguments.image_size={side}",
        f"discriminator.adversarial.name={game}",
        "validation.every_steps=200",
        f"validation.generated={chosen.images}",
        *GAMES[game],
    )
    recipe = TrainingRecipe.from_toml(RECIPE, given)
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"attribution": None})})
    out = chosen.out / game
    train(absolute(recipe), str(out), TrainingOptions(engine="local", threads=1))
    found: list[dict[str, Any]] = pq.read_table(
        io.BytesIO(Folder(str(out)).read("table.parquet"))
    ).to_pylist()
    return found


def curve(rows: list[dict[str, Any]]) -> str:
    """What the discriminator thought on the average of the last tenth, and the largest gradient of all."""
    games = [row for row in rows if row.get("d_real") is not None]
    late = games[-max(1, len(games) // 10) :]
    real, fake = (sum(row[name] for row in late) / len(late) for name in ("d_real", "d_fake"))
    largest = max(row["gradient_norm"] for row in games)
    return f"D(x) {real:+.2f}, D(G(z)) {fake:+.2f}, gradient at most {largest:.2g}"


if __name__ == "__main__":
    main()
