"""What a flow run is called: by its job or recipe, so that a list of runs can be read."""

from __future__ import annotations

from typing import Any

from prefect import runtime


def of_job() -> str:
    """The name of the job that the flow was given."""
    return _name_in("job")


def of_recipe() -> str:
    """The name of the recipe that is trained."""
    return _name_in("recipe")


def _name_in(parameter: str) -> str:
    """Prefect holds parameters as they were sent until they are checked: a mapping, or what it became."""
    given: Any = runtime.flow_run.parameters.get(parameter)
    name = given.get("name") if isinstance(given, dict) else getattr(given, "name", None)
    return str(name or parameter)
