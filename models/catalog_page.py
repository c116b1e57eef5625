"""The page of all restorers, written from their cards: ``docs/restorers.md`` is this text.

``python -m models.catalog_page > docs/restorers.md`` makes it again.
"""

from __future__ import annotations

from collections.abc import Iterable

from models.card import Card
from models.catalog import describe
from models.standings import as_word, defaults, standings

_HEAD = """# Restorers

Each name goes into a job as it stands: `restorers = ["bicubic", "median"]`. What a restorer needs and is not
told, it estimates (the noise level) or refuses (masks and operators), image by image. Other channels than a
network's own are refused too: `solver = "per_band"` with its name restores every band by itself.
`{ name = "in-light", solver = "linear_light", restorer = "..." }` undoes the curve of sRGB before and applies
it after, for restorers that are right about light and not about stored values.
`{ name = "kept", solver = "consistent", restorer = "..." }` changes what a restorer gives by the least that
makes it give the input back when it is degraded again; with `degradation = "bicubic"` (or `area`, `bilinear`,
`lanczos`), when this makes it smaller, whatever else is known. Noise comes back with the data: not for noisy
inputs.

Images larger than a tile are cut into tiles. `exact` restorers look no farther than their halo,
and give the pixels of the whole image. `whole` ones are run on whole images; where one does not fit into the
device's memory, its tiles are blended, and its row says so (`tiling`). On a CPU, what an image would need is
measured on tiles first, and may be three quarters of the machine's memory, or of the container's, of which
several replicas have a part each, as of its cores. Those that need operators are never cut.

Who does not want to choose says what is to be done: `restora restore ... --task denoising`, and
`restorers = [{ task = "denoising" }]` in a job. The restorer is the first of its task in
[classics.md](classics.md), of those that take images in colour; a network of ours that a classic beats there
is no default.

DEFAULTS

This page is made by `python -m models.catalog_page > docs/restorers.md` from the cards.
"""
_RULE = "| --- | --- | --- |"
_DETAILS = ("multiple_of", "minimum_size", "value_range", "arguments")
"""Fields of the card that are shown where they differ from a card's defaults."""


def page(cards: Iterable[Card]) -> str:
    """Markdown: a summary table, then each card in full."""
    cards = list(cards)
    top = _HEAD.replace(
        "DEFAULTS", "\n".join(["| task | default | dB above all others |", _RULE, *_defaults()])
    )
    head = ["| restorer | task | scale | channels | needs | tiles |", "| --- | --- | --- | --- | --- | --- |"]
    return "\n".join([top, *head, *map(_row, cards), "", *map(_section, cards)])


def _defaults() -> Iterable[str]:
    for task, name in defaults().items():
        yield f"| `{as_word(task)}` | `{name}` | {standings()[task][name]:.2f} |"


def _row(card: Card) -> str:
    needs = ", ".join(card.needs).replace("_", " ")
    return (
        f"| `{card.name}` | {card.task} | {card.scale or 'any'} | {card.channels or 'any'} "
        f"| {needs} | {_tiles(card)} |"
    )


def _tiles(card: Card) -> str:
    return f"exact, halo {card.halo}" if card.tile_exact else "whole"


def _section(card: Card) -> str:
    plain = Card(name=card.name, summary=card.summary, task=card.task)
    details = {
        name.replace("_", " "): _shown(getattr(card, name))
        for name in _DETAILS
        if getattr(card, name) != getattr(plain, name)
    }
    facts = {
        "architecture": card.architecture,
        "takes where known": ", ".join(card.takes).replace("_", " "),
        **details,
        "precisions": ", ".join(card.precisions),
        "licence": card.licence,
        "source": card.source,
        "weights": card.weights_sha256 and f"SHA-256 `{card.weights_sha256}`",
    }
    lines = [f"- {name}: {value}" for name, value in facts.items() if value]
    return "\n".join([f"## `{card.name}`", "", card.summary, "", *lines, ""])


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} = {each}" for name, each in value.items())
    return str(value)


def main() -> None:
    """Prints the page."""
    print(page(describe()), end="")


if __name__ == "__main__":
    main()
