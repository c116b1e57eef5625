"""The result in a sentence or two, claiming no more than the intervals allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pipeline.report.attention import Attention
from pipeline.report.ranking import Place, Ranking
from pipeline.report.run_facts import RunFacts
from pipeline.wording import number_of


def headline(
    facts: RunFacts,
    rankings: list[Ranking],
    protocols: Mapping[str, Mapping[str, Any]],
    found: Attention | None = None,
) -> str:
    """Empty ``rankings``: nothing was scored. A restore run also says, with ``found``, where to look."""
    if not facts.rows:
        return "Nothing ran: the table is empty."
    if not facts.ok:
        return f"Nothing could be processed: all {number_of(facts.rows, 'row')} are quarantined."
    if facts.kind == "restore":
        return _without_scores(facts) + _to_look_at(facts, found)
    scored = [ranking for ranking in rankings if any(place.record["n"] for place in ranking.places)]
    if not scored:
        return _without_scores(facts)
    unit = _unit(protocols[scored[0].metric])
    if len(facts.restorers) == 1:
        return _single(facts, scored, unit)
    if len(scored) == 1:
        return _one_group(scored[0], unit)
    return _few_groups(facts, scored, unit) if len(scored) <= 3 else _many_groups(scored)


def _unit(protocol: Mapping[str, Any]) -> str:
    return f" {protocol['unit']}" if protocol["unit"] == "dB" else ""


def _without_scores(facts: RunFacts) -> str:
    verb = {"restore": "restored", "degrade": "degraded"}.get(facts.kind, "processed")
    by = f" by {_and(facts.restorers)}" if facts.kind == "restore" and 0 < len(facts.restorers) <= 3 else ""
    rest = f"; {facts.quarantined:,} quarantined" if facts.quarantined else "; none was quarantined"
    return f"{facts.ok:,} of {number_of(facts.rows, 'image')} {verb}{by}{rest}."


def _to_look_at(facts: RunFacts, found: Attention | None) -> str:
    if found is None or facts.ok < 2:
        return ""
    first = found.images[0]
    where = f" of {first['dataset']}" if len(facts.datasets) > 1 else ""
    return f" Look first at {first['key']}{where}, which {found.phrase}: {found.metric} {first['texts'][0]}."


def _single(facts: RunFacts, scored: list[Ranking], unit: str) -> str:
    best = max(scored, key=lambda ranking: ranking.places[0].record["n"])
    place = best.places[0]
    where = f"on {' under '.join(best.setting)}"
    more = f"; {len(scored) - 1} more settings below" if len(scored) > 1 else ""
    return f"{place.restorer} reaches {place.mean}{unit} {best.metric} {where}{_gained(place, unit)}{more}."


def _gained(place: Place, unit: str) -> str:
    gain = place.record["gain"]
    if gain is None:
        return ""
    size = place.gain.lstrip("+−")
    return f", {size}{unit} {'better' if gain >= 0 else 'worse'} than its input"


def _one_group(ranking: Ranking, unit: str) -> str:
    first = ranking.places[0]
    where = f"on {' under '.join(ranking.setting)}"
    if first.mark == "best":
        return f"{first.restorer} is best {where}: {first.mean}{unit} {ranking.metric}{_gained(first, unit)}."
    if first.mark == "tied":
        tied = ranking.leaders
        score = f"{first.mean}{unit} {ranking.metric}"
        return f"{_and(tied)} are tied {where}, the first at {score}: no paired interval tells them apart."
    return f"{first.restorer} comes first {where} at {first.mean}{unit} {ranking.metric}."


def _few_groups(facts: RunFacts, scored: list[Ranking], unit: str) -> str:
    parts = []
    for ranking in scored:
        names = [ranking.dataset] if len(facts.datasets) > 1 else []
        names += [ranking.degradation] if len(facts.degradations) > 1 else []
        verb = {"best": "is best", "tied": "are tied first"}.get(ranking.places[0].mark, "comes first")
        parts.append(
            f"{_and(ranking.leaders)} {verb} at {ranking.places[0].mean}{unit} on {', '.join(names)}"
        )
    return f"By {scored[0].metric}, {'; '.join(parts)}."


def _many_groups(scored: list[Ranking]) -> str:
    alone = Counter(ranking.places[0].restorer for ranking in scored if ranking.places[0].mark == "best")
    shared = Counter(name for ranking in scored for name in ranking.leaders)
    name, wins = max(shared.items(), key=lambda item: (alone[item[0]], item[1]))
    settings = f"of {len(scored)} combinations of dataset and degradation by {scored[0].metric}"
    if wins > alone[name]:
        more = f"shares the first place in {wins - alone[name]} more"
        return f"{name} is best in {alone[name]} {settings}, and {more}."
    return f"{name} is best in {alone[name]} {settings}."


def _and(names: list[str]) -> str:
    if len(names) > 5:
        return f"{', '.join(names[:4])} and {len(names) - 4} others"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
