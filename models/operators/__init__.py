"""Forward models: whatever makes an image worse.

Adding one: a file, a line here, a line in the contract test.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any, cast

from models.operators.atmosphere import Clouds, Haze
from models.operators.base import LinearOperator, Operator, ProximalOperator
from models.operators.blur import (
    AnisotropicGaussianBlur,
    DefocusBlur,
    GaussianBlur,
    GeneralisedGaussianBlur,
    KernelBlur,
    PlateauBlur,
    Sinc,
)
from models.operators.bsrgan import Bsrgan
from models.operators.burst import Burst
from models.operators.clip import Clip
from models.operators.compression import Jpeg, Jpeg2000
from models.operators.differentiable_jpeg import DifferentiableJpeg
from models.operators.gaps import ScanLineGaps
from models.operators.kspace import KSpaceUndersampling
from models.operators.magnetic_resonance import Motion
from models.operators.mask import BoxMask, IrregularMask, Mask
from models.operators.motion import MotionBlur
from models.operators.noise import (
    CorrelatedNoise,
    GaussianNoise,
    PoissonGaussianNoise,
    PoissonNoise,
    RicianNoise,
    SaltAndPepper,
    Speckle,
)
from models.operators.panchromatic import Panchromatic
from models.operators.real_esrgan import RealEsrgan
from models.operators.resample import Area, Bicubic, Bilinear, Lanczos, Mtf, Nearest
from models.operators.resize import Resize
from models.operators.sensor import DeadColumns, Stripes
from models.operators.tomography import Tomography, TomographyNoise
from models.plugins import Parts

_LISTED: tuple[type[Operator], ...] = (
    # resampling
    Bicubic, Bilinear, Lanczos, Area, Nearest, Mtf, Resize,
    # blur
    GaussianBlur, AnisotropicGaussianBlur, GeneralisedGaussianBlur, PlateauBlur,
    Sinc, DefocusBlur, MotionBlur, KernelBlur,
    # noise
    GaussianNoise, CorrelatedNoise, PoissonNoise, PoissonGaussianNoise, Speckle, SaltAndPepper, RicianNoise,
    # sensor and atmosphere
    Stripes, Haze,
    # magnetic resonance
    Motion, KSpaceUndersampling,
    # tomography
    Tomography, TomographyNoise,
    # compression
    Jpeg, Jpeg2000, DifferentiableJpeg,
    # masks
    Mask, BoxMask, IrregularMask, ScanLineGaps, DeadColumns, Clouds,
    # several frames, guides
    Burst, Clip, Panchromatic,
    # chains
    RealEsrgan, Bsrgan,
)  # fmt: skip


def _accepted(_: str, value: Any) -> type[Operator]:
    if not (isinstance(value, type) and is_dataclass(value) and "__call__" in dir(value)):
        raise TypeError(f"it is {value!r}, not a dataclass that is called with an image and a generator")
    return cast(type[Operator], value)


OPERATORS: Parts[type[Operator]] = Parts(
    "operators", {operator.name: operator for operator in _LISTED}, _accepted
)
"""Every operator by its name in a job."""

__all__ = ["OPERATORS", "LinearOperator", "Operator", "ProximalOperator"]
