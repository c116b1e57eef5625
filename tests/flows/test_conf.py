"""The example jobs: each parses, each names only what exists, and the deployments are those jobs."""

import inspect
from pathlib import Path

import pytest
import yaml

from flows.cli.session import DONE, FAILED, QUARANTINED, WRONG
from flows.generate import generate
from flows.train import train
from pipeline.errors import REASONS
from pipeline.jobs.job import Job
from pipeline.recipe.recipe import Recipe
from pipeline.training.recipe.recipe import TrainingRecipe

ROOT = Path(__file__).parents[2]
CONF = sorted((ROOT / "conf").glob("*.toml"))
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
OF_JOBS = [each for each in DEPLOYMENTS if "job" in each["parameters"]]
JOB_OF = {"flows/restore.py": "archive", "flows/benchmark.py": "set5-x4", "flows/degrade.py": "degraded"}


def test_there_are_examples_of_every_kind():
    assert {Job.from_toml(path).kind for path in CONF} == {"benchmark", "restore", "degrade"}


@pytest.mark.parametrize("path", CONF, ids=lambda path: path.stem)
def test_example_job_means_something(path):
    job = Job.from_toml(path)
    assert job.name == path.stem
    recipe = Recipe.of(job)
    assert recipe.combinations
    assert len(recipe.metrics) == len(job.metrics)


def test_the_job_of_the_readme_is_as_it_is_printed():
    fields = Job.from_toml(ROOT / "conf" / "set5-x4.toml").model_dump(exclude_defaults=True)
    assert fields["output"] == "out/set5-x4"
    assert fields["metrics"] == ("psnr_y", "ssim_y", "psnr", "ssim", "mae", "mse")
    assert [each["name"] for each in fields["restorers"]] == ["bicubic", "lanczos"]


@pytest.mark.parametrize("deployment", OF_JOBS, ids=lambda each: each["entrypoint"])
def test_deployment_runs_its_example_job(deployment):
    path, _, flow = deployment["entrypoint"].partition(":")
    assert (ROOT / path).is_file()
    assert flow == Path(path).stem
    job = Job.parse(deployment["parameters"]["job"])
    assert job == Job.from_toml(ROOT / "conf" / f"{JOB_OF[path]}.toml")
    assert job.kind == flow


def test_training_deployment_runs_the_shipped_recipe():
    (deployment,) = (each for each in DEPLOYMENTS if each["entrypoint"] == "flows/train.py:train")
    given = deployment["parameters"]
    recipe = TrainingRecipe.parse(given["recipe"])
    assert recipe == TrainingRecipe.from_toml(ROOT / "conf" / "train" / f"{recipe.name}.toml")
    assert Recipe.of(Job.parse(given["against"])).combinations
    assert given.keys() <= inspect.signature(train.fn).parameters.keys()


def test_generating_deployment_names_what_the_flow_takes():
    (deployment,) = (each for each in DEPLOYMENTS if each["entrypoint"] == "flows/generate.py:generate")
    assert deployment["parameters"].keys() <= inspect.signature(generate.fn).parameters.keys()


def test_operations_page_lists_every_quarantine_reason_and_exit_code():
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for reason, meaning in REASONS.items():
        assert f"| `{reason}` | {meaning} |" in page
    for code in (DONE, FAILED, WRONG, QUARANTINED):
        assert f"\n| {code} | " in page
