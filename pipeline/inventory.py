"""What a job can name, as plain records: for ``restora list``, completion and documentation.

Imports inside functions keep torch, Ray and tables out of the start-up of every command.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

from models.names import unknown
from models.plugins import OURS
from pipeline.errors import JobError

Record = dict[str, Any]
"""Field -> value; every record of one kind has the same fields, all fit for JSON."""


def take_inventory(kind: str) -> list[Record]:
    """The records of one of ``KINDS``; ``JobError`` with the nearest name for another."""
    if kind not in KINDS:
        raise JobError(unknown("list", kind, KINDS))
    return KINDS[kind]()


def record_of(kind: str, name: str) -> Record:
    """All that is known of one of them; ``JobError`` with the nearest name for another."""
    records = {each["name"]: each for each in take_inventory(kind)}
    if name not in records:
        one = f"{kind[:-3]}y" if kind.endswith("ies") else kind.removesuffix("s")
        raise JobError(unknown(one, name, records))
    return records[name]


def _restorers() -> list[Record]:
    from models import catalog
    from models.standings import defaults, standing_of

    best = defaults()
    return [
        {
            "name": card.name,
            "task": card.task,
            "scale": card.scale,
            "channels": card.channels,
            "needs": list(card.needs),
            "licence": card.licence,
            "default_for": [task for task, name in best.items() if name == card.name],
            "margin_db": standing_of(card.name),
            "summary": card.summary,
            "package": catalog.RESTORERS.origin(card.name) or OURS,
        }
        for card in (*catalog.describe(), *catalog.describe_others())
    ]


def _solvers() -> list[Record]:
    from models.catalog import SOLVERS

    return [
        {
            "name": name,
            "parameters": _parameters(solver),
            "summary": _first_sentence(solver),
            "package": SOLVERS.origin(name) or OURS,
        }
        for name, solver in SOLVERS.items()
    ]


def _degradations() -> list[Record]:
    """Presets, then the operators that they and jobs are made of."""
    from pipeline.degradation.presets import PRESETS

    presets = [
        {"name": name, "kind": "preset", "parameters": {}, "summary": preset.summary, "package": OURS}
        for name, preset in PRESETS.items()
    ]
    return presets + [{"name": each["name"], "kind": "operator"} | each for each in _operators()]


def _operators() -> list[Record]:
    from models.operators import OPERATORS

    return [
        {
            "name": name,
            "parameters": _parameters(operator),
            "summary": _first_sentence(operator),
            "package": OPERATORS.origin(name) or OURS,
        }
        for name, operator in OPERATORS.items()
    ]


def _networks() -> list[Record]:
    from models.networks import NETWORKS

    return [
        {
            "name": name,
            "parameters": _arguments(network),
            "summary": _first_sentence(network),
            "package": NETWORKS.origin(name) or OURS,
        }
        for name, network in NETWORKS.items()
    ]


def _uncertainties() -> list[Record]:
    from models.uncertainties import UNCERTAINTIES

    return [
        {"name": name, "calls": each.calls, "summary": _first_sentence(type(each)), "package": OURS}
        for name, each in UNCERTAINTIES.items()
    ]


def _metrics() -> list[Record]:
    from pipeline.metrics import METRICS

    return [
        {
            "name": name,
            "unit": protocol.unit,
            "better": "higher" if protocol.higher_is_better else "lower",
            "colour": protocol.colour,
            "border": protocol.border,
            "formula": protocol.formula,
            "source": protocol.source,
            "package": METRICS.origin(name) or OURS,
        }
        for name, protocol in ((name, metric.protocol) for name, metric in METRICS.items())
    ]


def _formats() -> list[Record]:
    from pipeline.formats import FORMATS

    return [
        {
            "name": name,
            "extensions": list(each.extensions),
            "lossless": each.lossless,
            "summary": each.summary,
            "package": FORMATS.origin(name) or OURS,
        }
        for name, each in FORMATS.items()
    ]


def _stores() -> list[Record]:
    from pipeline.doors import DOORS

    return [
        {"name": name, "extra": door.extra, "results": door.writes, "summary": door.summary}
        for name, door in DOORS.items()
    ]


KINDS: dict[str, Callable[[], list[Record]]] = {
    "restorers": _restorers,
    "degradations": _degradations,
    "metrics": _metrics,
    "formats": _formats,
    "stores": _stores,
    "solvers": _solvers,
    "operators": _operators,
    "networks": _networks,
    "uncertainties": _uncertainties,
}
"""What there are lists of."""


def _parameters(kind: Any) -> Record:
    """Field -> default of a dataclass; ``None`` for one that must be given."""
    defaults: Record = {}
    for field in dataclasses.fields(kind):
        if not field.init:
            continue
        if field.default is not dataclasses.MISSING:
            defaults[field.name] = _plain(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            defaults[field.name] = _plain(field.default_factory())
        else:
            defaults[field.name] = None
    return defaults


def _arguments(build: Callable[..., Any]) -> Record:
    """Keyword -> default of a callable; ``None`` for one that must be given."""
    return {
        name: None if each.default is inspect.Parameter.empty else _plain(each.default)
        for name, each in inspect.signature(build).parameters.items()
        if each.kind is not inspect.Parameter.VAR_KEYWORD
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _first_sentence(kind: Any) -> str:
    text = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split()).replace("``", "")
    return re.split(r"(?<!et al)\. ", text)[0].rstrip(".")
