"""The catalog's defaults are the winners of the benchmark, and all of them can be built."""

import pytest

from flows.addresses import restorer_of
from models import catalog
from models.standings import as_word, default_of, defaults, standing_of, standings
from pipeline.errors import JobError
from pipeline.inventory import take_inventory
from pipeline.jobs.job import Job


def test_each_task_has_the_best_of_the_catalog_as_its_default():
    assert {"denoising", "speckle", "deblurring", "inpainting", "artefacts"} <= standings().keys()
    for task, margins in standings().items():
        assert list(margins.values()) == sorted(margins.values(), reverse=True)
        in_colour = [name for name in margins if catalog.build(name).card.channels != 1]
        assert max(in_colour, key=lambda name: margins[name]) == defaults()[task]
        assert set(margins) <= set(catalog.RESTORERS)


def test_the_list_of_restorers_shows_margins_and_defaults():
    records = {each["name"]: each for each in take_inventory("restorers")}
    for task, name in defaults().items():
        assert records[name]["margin_db"][task] == standing_of(name)[task]
        assert task in records[name]["default_for"]
    assert records["identity"]["default_for"] == []


def test_who_names_a_task_gets_its_default():
    assert default_of("denoising") == "bm3d"
    assert default_of("inpainting-wide-holes") == "total-variation-inpainting", "no network of ours is first"
    for task in standings():
        job = {"name": "a", "kind": "restore", "output": "out", "datasets": [{"name": "b", "uri": "in"}]}
        told = Job.parse(job | {"restorers": [restorer_of(None, 3.0, as_word(task))]}, where="a job")
        assert [(each.name, each.noise_level) for each in told.restorers] == [(default_of(task), 3.0)]


@pytest.mark.parametrize("restorer", [{"task": "denoisin"}, {"task": "speckle", "name": "lee"}])
def test_a_task_that_is_none_or_beside_a_name_is_refused(restorer):
    job = {"name": "a", "kind": "restore", "output": "out", "datasets": [{"name": "b", "uri": "in"}]}
    with pytest.raises(JobError, match=r'did you mean "denoising"|either task or name'):
        Job.parse(job | {"restorers": [restorer]}, where="a job")


def test_a_command_line_gives_a_restorer_or_a_task():
    for restorer, task in ((None, None), ("bm3d", "denoising")):
        with pytest.raises(JobError, match="--restorer, --task: give one of them"):
            restorer_of(restorer, None, task)
