"""The page of losses names every one there is, and no other."""

import re
from pathlib import Path

import pytest

from models.losses import ADVERSARIAL, LOSSES, PENALTIES

PAGE = Path(__file__).parents[3] / "docs" / "losses.md"


@pytest.mark.parametrize(
    ("section", "known"),
    [
        ("Losses of pixels", LOSSES),
        ("Adversarial losses", ADVERSARIAL),
        ("Penalties and feature matching", PENALTIES),
    ],
)
def test_page_lists_what_there_is(section, known):
    text = PAGE.read_text(encoding="utf-8").split(f"## {section}\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == known.keys()
