"""What a training run is: read from TOML, refused where a field is unknown or out of range."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

import pydantic
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from pipeline.errors import JobError

EightBit = Annotated[float, Field(ge=0, le=255)]


class DenoiserSettings(BaseModel):
    """A denoiser of additive white Gaussian noise whose level it is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Name on the card."""
    summary: str
    """One sentence for the card."""
    architecture: str
    """As in ``models.networks.NETWORKS``."""
    arguments: dict[str, Any] = {}
    """What the network is built with."""
    seed: int = 0
    """Decides the initial weights, the patches and the noise."""
    patch_size: Annotated[int, Field(ge=8, multiple_of=2)] = 64
    """Side of a patch in pixels."""
    busiest_of: PositiveInt = 1
    """How many places are looked at for one patch; the one with the strongest gradients is taken."""
    batch_size: PositiveInt = 8
    """Patches in a step."""
    noise_levels: tuple[EightBit, EightBit] = (0.0, 75.0)
    """Range of the standard deviation in 8-bit levels, drawn uniformly for each patch."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 4e-3
    """Spectral norm of a step of each kernel at the peak of the schedule."""
    warm_up: Annotated[float, Field(ge=0, lt=1)] = 0.02
    """Share of the run in which the learning rate rises linearly; then it falls to zero as a cosine."""
    clip_gradient: Annotated[float, Field(gt=0)] = 1.0
    """Largest Euclidean norm of the gradient."""
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Of the exponential moving average of the weights, which is what the run delivers."""
    validate_minutes: Annotated[float, Field(gt=0)] = 5.0
    """Time between validations and checkpoints."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Settings out of a TOML file; ``JobError`` naming the file, each wrong field and what is allowed."""
        try:
            return cls(**tomllib.loads(path.read_text()))
        except OSError as error:
            raise JobError(f"cannot read the settings {path}: {error.strerror}") from None
        except tomllib.TOMLDecodeError as error:
            raise JobError(f"{path} is not TOML: {error}") from None
        except pydantic.ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise JobError(f"{path}: {faults}; known fields are {', '.join(cls.model_fields)}") from None
