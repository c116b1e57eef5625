"""Draw images from a trained generator.

Imports for types alone, or inside functions, keep torch out of the start-up of the scheduler.
"""

from __future__ import annotations

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_link_artifact
from prefect.cache_policies import NO_CACHE

from flows.parameters import forget_secrets, refuse_secrets


@task(cache_policy=NO_CACHE, retries=1)
def draw(weights: str, output: str, count: int, seed: int, profile: str | None) -> str:
    """Writes images and sheet; returns the sheet's address. Doing it again writes the same files."""
    from flows.addresses import profile_for
    from pipeline.training.generate import generate as draw_images

    return draw_images(weights, output, count=count, seed=seed, profile=profile_for(output, profile))


@flow(name="generate", on_failure=[forget_secrets], log_prints=False)
def generate(weights: str, output: str, count: int = 64, seed: int = 0, profile: str | None = None) -> str:
    """``count`` images of the generator in a file of weights, and a sheet of all of them."""
    refuse_secrets("weights", weights)
    sheet = draw(weights, output, count, seed, profile)
    get_run_logger().info("%d images in %s", count, output)
    create_link_artifact(sheet, key="generated", link_text=sheet)
    return sheet
