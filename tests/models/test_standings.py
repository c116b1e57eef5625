"""The catalog's defaults are the winners of the benchmark, and all of them can be built."""

from models import catalog
from models.standings import defaults, standing_of, standings
from pipeline.inventory import take_inventory


def test_each_task_has_the_best_of_the_catalog_as_its_default():
    assert {"denoising", "speckle", "deblurring", "inpainting", "artefacts"} <= standings().keys()
    for task, margins in standings().items():
        assert list(margins.values()) == sorted(margins.values(), reverse=True)
        assert max(margins, key=lambda name: margins[name]) == defaults()[task]
        assert set(margins) <= set(catalog.RESTORERS)


def test_the_list_of_restorers_shows_margins_and_defaults():
    records = {each["name"]: each for each in take_inventory("restorers")}
    for task, name in defaults().items():
        assert records[name]["margin_db"][task] == standing_of(name)[task]
        assert task in records[name]["default_for"]
    assert records["identity"]["default_for"] == []
