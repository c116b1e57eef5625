"""Which parts of a job are of other packages: their versions belong to the recipe, and to every row.

Store plug-ins are provenance alone: where bytes are kept does not change them.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from models.catalog import RESTORERS, SOLVERS, Part
from models.losses import LOSSES
from models.networks import GENERATORS, NETWORKS
from models.operators import OPERATORS
from models.plugins import Parts
from models.restorer import Restorer
from models.solvers.solver import Solver
from pipeline.errors import JobError
from pipeline.formats import FORMATS
from pipeline.jobs.job import Job, OperatorSpec, RestorerSpec
from pipeline.metrics import METRICS
from pipeline.recipe.differences import differences
from pipeline.storage.stores import STORES, scheme_of

TABLES = (NETWORKS, GENERATORS, SOLVERS, RESTORERS, OPERATORS, METRICS, FORMATS, LOSSES, STORES)
"""All that packages can add to."""

Plugins = dict[str, dict[str, str]]
"""Group -> name in the job -> package and version; empty where a job uses none."""


def plugins_of(job: Job, operators: Iterable[OperatorSpec], restorers: Sequence[Restorer]) -> Plugins:
    """Of the recipe of a job: everything of other packages that decides its pixels or scores."""
    used: list[tuple[Parts[Any], Iterable[str]]] = [
        (METRICS, job.metrics),
        (OPERATORS, (each.op for each in operators)),
        (RESTORERS, (each.name for each in job.restorers if _is_of_catalog(each))),
        (FORMATS, [*FORMATS, *filter(None, [job.output_format])]),  # any image may be of any of them
    ]
    for restorer in restorers:
        for table in (NETWORKS, GENERATORS, SOLVERS):
            used.append((table, list(_architectures(restorer))))
    return origins(used)


def origins(used: Iterable[tuple[Parts[Any], Iterable[str]]]) -> Plugins:
    """Those of the names that are not ours."""
    found: Plugins = {}
    for table, names in used:
        for name in names:
            if (origin := table.origin(name)) is not None:
                found.setdefault(table.group.rpartition(".")[2], {})[name] = origin
    return found


def provenance(plugins: Plugins, job: Job) -> str | None:
    """Column ``plugins``: the packages, stores' too, in order; null where there are none."""
    schemes = {scheme_of(each) for each in (job.output, *(dataset.uri for dataset in job.datasets))}
    stores = origins([(STORES, schemes)])
    packages = {each for group in (*plugins.values(), *stores.values()) for each in group.values()}
    return ", ".join(sorted(packages)) or None


def refuse_other_plugins(here: Plugins, specification: Mapping[str, Any]) -> None:
    """``JobError`` where this machine has others than the one that planned the run."""
    planned = specification.get("plugins", {})
    if lines := list(differences(planned, here, "plugins")):
        raise JobError(
            f"{socket.gethostname()} has other plug-ins than the run was planned with: {'; '.join(lines)}; "
            "install the same packages on every machine"
        )


def faults() -> list[str]:
    """What is wrong with the installed plug-ins, a line each."""
    return [fault for table in TABLES for fault in table.faults()]


def installed() -> list[str]:
    """The packages that bring parts, with their versions."""
    names = ((table, name) for table in TABLES for name in table.installed)
    return sorted({str(table.origin(name)) for table, name in names})


def _is_of_catalog(spec: RestorerSpec) -> bool:
    return spec.solver is None and spec.weights is None


def _architectures(part: Part) -> Iterator[str]:
    """Of a restorer, and of those that its solver is built around."""
    yield part.card.architecture
    if isinstance(part, Restorer) and isinstance(part.model, Solver):
        for value in part.model.parameters().values():
            if isinstance(value, Part):
                yield from _architectures(value)
