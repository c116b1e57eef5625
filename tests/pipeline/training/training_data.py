"""Small recipes and photographs for the tests of training."""

from pathlib import Path

from pipeline.storage.folder import Folder
from pipeline.training.recipe.recipe import TrainingRecipe
from tests.helpers import photographs_in

ROOT = Path(__file__).parents[3]


def photographs(place: Path, count: int = 3, side: int = 48) -> Folder:
    return photographs_in(place, count, side, side + 8)


def denoiser(place: Path, **fields) -> TrainingRecipe:
    """A DnCNN of a few hundred weights, 6 steps of 4 samples, everything on the CPU."""
    uri = str(place)
    defaults = {
        "name": "tiny",
        "summary": "Tiny.",
        "task": "denoising",
        "seed": 3,
        "degradations": [{"name": "noise", "operators": [{"op": "gaussian_noise", "sigma": [5.0, 50.0]}]}],
        "losses": [{"name": "l1"}],
        "batch": 4,
        "ema_decay": 0.9,
        "length": {"steps": 6},
        "data": {"datasets": [{"name": "photos", "uri": uri}], "crop": 16},
        "network": {
            "architecture": "dncnn",
            "arguments": {"features": 6, "layers": 3, "batch_norm": False},
        },
        "optimizer": {"learning_rate": 1e-3, "schedule": {"name": "cosine", "warm_up": 0.1}},
        "validation": {"datasets": [{"name": "photos", "uri": uri}], "images": 1, "side": 32},
    }
    return TrainingRecipe.parse(defaults | fields)


def super_resolver_gan(place: Path, **fields) -> TrainingRecipe:
    """A tiny adversarial super-resolver."""
    defaults = {
        "task": "super-resolution",
        "degradations": ["bicubic-x2"],
        "network": {
            "architecture": "msrresnet",
            "arguments": {"features": 6, "blocks": 1, "scale": 2},
        },
        "data": {"datasets": [{"name": "photos", "uri": str(place)}], "crop": 32},
        "discriminator": {
            "architecture": "patch",
            "arguments": {"channels": 3, "features": 4, "normalisation": "spectral"},
            "adversarial": {"name": "relativistic_average"},
            "weight": 5e-3,
            "penalty": {"name": "r1", "weight": 0.1, "every": 2},
            "optimizer": {"learning_rate": 1e-3},
        },
    }
    return denoiser(place, **(defaults | fields))


def generator(place: Path, **fields) -> TrainingRecipe:
    """A tiny DCGAN of 8 x 8 pictures whose discriminator steps twice."""
    return TrainingRecipe.parse(
        {
            "name": "tiny-gan",
            "summary": "Tiny.",
            "kind": "generation",
            "seed": 3,
            "batch": 4,
            "ema_decay": 0.9,
            "length": {"steps": 6},
            "data": {"datasets": [{"name": "photos", "uri": str(place)}], "crop": 16, "downsample": 2},
            "network": {
                "architecture": "dcgan",
                "arguments": {"features": 4, "image_size": 8, "latent": 6},
                "value_range": [-1.0, 1.0],
            },
            "optimizer": {"learning_rate": 1e-3, "betas": [0.5, 0.999]},
            "discriminator": {
                "architecture": "dcgan",
                "arguments": {"features": 4, "image_size": 8, "normalisation": "instance"},
                "adversarial": {"name": "hinge"},
                "steps": 2,
                "optimizer": {"learning_rate": 1e-3, "betas": [0.5, 0.999]},
            },
            "validation": {"generated": 8},
        }
        | fields
    )
