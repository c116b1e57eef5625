"""What a job says of a degradation and of a restorer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pipeline.jobs.datasets import Frozen, Name
from pipeline.jobs.frozen import Typed
from pipeline.jobs.operators import OperatorSpec


class DegradationSpec(Frozen):
    """A named list of operators, or the name of a preset."""

    name: Name
    """Column ``degradation`` of the tables."""
    operators: tuple[OperatorSpec, ...] | None = None
    """Applied in this order; ``None`` where ``name`` is a preset."""


class MetricWeights(Frozen):
    """Files of the user that a metric of the literature needs: none of them is shipped."""

    backbone: str
    """The network whose features are compared, in torchvision's layout: a path or any fsspec URL."""
    heads: str
    """The learned weights of its features, as the authors' package has them."""


class RestorerSpec(Typed):
    """A restorer: from the catalog by name, a solver with its parameters, or a file of weights.

    ``{ task = "denoising" }`` is the catalog's default for a task: its name stands in the job that is kept.
    """

    model_config = ConfigDict(
        frozen=True, extra="allow", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    name: Name
    """Column ``restorer`` of the tables; without ``solver`` and ``weights``, a name of the catalog."""
    solver: str | None = None
    """A solver; every other field is a parameter of it."""
    weights: str | None = None
    """A path or any fsspec URL: safetensors or ONNX with a card, or what the extra ``spandrel`` reads."""
    network: str | None = None
    """``module:attribute`` of the network that ``weights`` are of, where their card names one: code that is
    imported because the job says so. Names of networks, also of installed packages, need no word."""
    noise_level: Annotated[float, Field(ge=0, le=255)] | None = None
    """Known noise in 1/255 of the value range; without it, taken from the degradation or estimated."""
    estimate_noise: bool = False
    """Whether a benchmark tells it no noise level, as a restore run that knows of none."""
    uncertainty: str | None = None
    """Where it is unsure: "self_ensemble" (seven more calls) or "posterior" (one more, denoisers). A
    benchmark's is what ``restora calibrate`` makes intervals of; a restore run needs that calibration."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Other than float32 only where it was measured to be safe, which the restorer's card says."""

    @property
    def parameters(self) -> dict[str, Any]:
        """What the solver is built with."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.estimate_noise and self.noise_level is not None:
            raise ValueError("give either noise_level or estimate_noise, not both")
        if self.solver is not None and self.weights is not None:
            raise ValueError("give either solver or weights, not both")
        if self.network is not None and self.weights is None:
            raise ValueError("network: says of which network weights are; give weights as well")
        if self.solver is None and self.parameters:
            raise ValueError(f'unknown field {min(self.parameters)!r}; parameters need a solver = "..."')
        return self


class DefaultRestorer(BaseModel):
    """The catalog's default for a task, in place of a name; other fields as of a ``RestorerSpec``."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    task: str
    """One of those that ``restora list restorers`` shows defaults for: ``denoising``."""


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _chosen(value: Any) -> Any:
    if not isinstance(value, dict) or "task" not in value:
        return _named(value)
    if given := {"name", "solver", "weights"} & value.keys():
        raise ValueError(f"give either task or {min(given)}, not both")
    from models.standings import default_of  # start-up: jobs are read without models

    rest = {field: each for field, each in value.items() if field != "task"}
    return rest | {"name": default_of(str(value["task"]))}


# The schemas say that a name alone will do, for schedulers that check a job before we see it.
Degradation = Annotated[
    DegradationSpec, BeforeValidator(_named, json_schema_input_type=str | DegradationSpec)
]
Restorer = Annotated[
    RestorerSpec, BeforeValidator(_chosen, json_schema_input_type=str | RestorerSpec | DefaultRestorer)
]
