"""The page of restorers is the cards, and nothing else."""

from pathlib import Path

from models import catalog
from models.catalog_page import page

PAGE = Path(__file__).parents[2] / "docs" / "restorers.md"


def test_the_page_is_up_to_date():
    expected = page(catalog.describe())
    assert PAGE.read_text() == expected, "run: python -m models.catalog_page > docs/restorers.md"


def test_every_restorer_has_its_row_and_its_section():
    text = PAGE.read_text()
    for name in catalog.RESTORERS:
        assert f"| `{name}` |" in text
        assert f"## `{name}`" in text
