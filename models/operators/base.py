"""What an operator is: a forward model ``y = noise(A(x))`` on tensors.

The same object degrades an image and drives a solver. Its fields are its parameters, all fixed:
drawing them from ranges is the work of ``pipeline.degradation.degradation``.

Shapes: B batch, C channels, H and W height and width. Values: fractions of the value range, so that
8-bit 0 is 0.0 and 8-bit 255 is 1.0; float operators neither clip nor round unless they say so.
"""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from torch import Generator, Tensor


@runtime_checkable
class Operator(Protocol):
    """A frozen dataclass whose fields are its parameters.

    ``__post_init__`` raises ``ValueError`` naming the parameter, its value and what is allowed.
    Random operators draw from ``rng`` alone, on ``rng``'s device, so that a seed means the same
    pixels on every machine, and image after image: a batch draws what its images would draw one by one.
    """

    name: ClassVar[str]
    """The name in a job, such as ``gaussian_blur``."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The worse image; the given one is left as it is. Raises ``ValueError`` where it is too small."""
        ...


@runtime_checkable
class LinearOperator(Operator, Protocol):
    """An operator with an adjoint: ``<A x, y> = <x, A' y>``."""

    def adjoint(self, image_BCHW: Tensor, height: int, width: int) -> Tensor:
        """``A'`` applied to an image in the output's space; ``height`` and ``width`` are the input's."""
        ...


@runtime_checkable
class ProximalOperator(LinearOperator, Protocol):
    """A linear operator that can undo itself against a prior's estimate."""

    def prox(self, estimate_BCHW: Tensor, observed_BCHW: Tensor, rho: float) -> Tensor:
        """``argmin_x |A x - observed|^2 + rho |x - estimate|^2``, estimate in the input's space, rho > 0."""
        ...


class Degrades(Protocol):
    """Facts that some operators add, read with ``getattr`` and a default by whoever needs them."""

    scale: int
    """How many times smaller the output is (default 1)."""
    noise_level: float
    """Standard deviation of additive noise, fraction of the value range (default 0)."""

    def mask(self, height: int, width: int, rng: Generator) -> Tensor:
        """1HW: 1 where a pixel stays known."""
        ...
