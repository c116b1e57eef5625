"""One image in memory, restored: no files, no run.

Imports inside functions keep torch and tables out of the start-up of a notebook.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from restora.told import checked_device, checked_mask, checked_noise_level, checked_range, refuse_unused

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from models.operators.blur import KernelBlur
    from models.restorer import Restorer
    from pipeline.imaging.image import Domain


def restore_array(
    image: NDArray[Any],
    restorer: str,
    *,
    noise_level: float | None = None,
    mask: NDArray[Any] | None = None,
    kernel: NDArray[Any] | None = None,
    guide: NDArray[Any] | None = None,
    value_range: tuple[float, float] | None = None,
    device: str | None = None,
) -> NDArray[Any]:
    """The image restored, of the same dtype and number of dimensions; a masked array where it is one.

    Pixels that are NaN, infinite or masked in any channel hold no data: no model sees them, they come back.

    ``image``: HW or HWC. ``restorer``: a name of ``restora list restorers``, or the path or URL of weights.
    ``noise_level``: standard deviation in 1/255 of the value range; else it is estimated where the restorer
    needs it. ``mask``: HW, true (not 0) where a pixel is known. ``kernel``: KK, odd, of sum 1: what blurred
    the image. ``guide``: HW or HWP, as many times larger as the restorer enlarges: a sharper image of the
    scene, in the same range of values. ``value_range``: the values that mean 0 and 1; else the whole range of
    an integer type, and 0 to 1 of floats. ``device``: ``cpu``, ``cuda`` ...; else the best. Raises
    ``ValueError`` for what this restorer cannot take, or would not listen to.
    """
    import numpy as np
    import torch

    from models.contract import Condition
    from pipeline.conditions.kernels import refuse_larger
    from pipeline.imaging.image import Image, Metadata
    from pipeline.imaging.radiometry import left_alone, quantised, to_stored, to_tensor

    samples = np.asarray(image)
    if samples.ndim not in (2, 3) or samples.dtype.kind not in "uif":
        raise ValueError(f"image: needs HW or HWC numbers, got {samples.dtype} of shape {samples.shape}")
    where = checked_device(device)
    built = _built(restorer)
    refuse_unused(built.card, {"noise_level": noise_level, "mask": mask, "kernel": kernel, "guide": guide})
    domain = _domain(samples.dtype, value_range)
    pixels_HWC = samples if samples.ndim == 3 else samples[..., None]
    pixels_HWC = pixels_HWC.astype(samples.dtype.newbyteorder("="), copy=False)
    given = Image(pixels_HWC, domain, Metadata("array"), _valid(image, pixels_HWC))
    image_1CHW = to_tensor(given, where)
    guide_1PHW = None if guide is None else _guide(np.asarray(guide), domain, where)
    level = None if noise_level is None else checked_noise_level(noise_level)
    known_HW = None if mask is None else checked_mask(mask, *image_1CHW.shape[-2:])
    operators = () if kernel is None else (_blur(kernel),)
    refuse_larger(operators, given)
    condition = Condition(
        scale=1 if guide_1PHW is None else max(guide_1PHW.shape[-2] // image_1CHW.shape[-2], 1),
        guide_BPHW=guide_1PHW,
        noise_level_B=None if level is None else torch.full((1,), level, device=where),
        mask_B1HW=None if known_HW is None else torch.from_numpy(known_HW).to(where).float()[None, None],
        operators=operators,
    )
    with torch.inference_mode():
        restored_1CHW, _ = quantised(built.to(where)(image_1CHW, condition=condition), domain)
    restored_HWC: NDArray[Any] = to_stored(restored_1CHW, domain)[0]
    if restored_1CHW.shape == image_1CHW.shape:
        restored_HWC = left_alone(restored_HWC, given, (restored_1CHW == image_1CHW)[0])
    made = given.with_pixels(restored_HWC)
    found = made.pixels_HWC if samples.ndim == 3 else made.pixels_HWC[..., 0]
    if not isinstance(image, np.ma.MaskedArray):
        return found
    hidden_HW = np.zeros(found.shape[:2], bool) if made.valid_HW is None else ~made.valid_HW
    mask = hidden_HW if found.ndim == 2 else np.broadcast_to(hidden_HW[..., None], found.shape)
    return np.ma.MaskedArray(found, mask, fill_value=image.fill_value)


def _valid(image: NDArray[Any], pixels_HWC: NDArray[Any]) -> NDArray[np.bool_] | None:
    """True where the array has data in every channel, ``None``: everywhere; ``ValueError``: nowhere."""
    import numpy as np

    hidden = np.ma.getmaskarray(image) if isinstance(image, np.ma.MaskedArray) else np.zeros((), bool)
    missing_HWC: NDArray[np.bool_] = np.broadcast_to(
        hidden[..., None] if hidden.ndim == 2 else hidden, pixels_HWC.shape
    )
    if pixels_HWC.dtype.kind == "f":
        missing_HWC = np.logical_or(missing_HWC, ~np.isfinite(pixels_HWC))
    valid_HW: NDArray[np.bool_] = np.logical_not(np.asarray(missing_HWC.any(axis=2)))
    if not valid_HW.any():
        raise ValueError("image: not one pixel is finite, and unmasked, in every channel")
    return None if valid_HW.all() else valid_HW


def _guide(guide: NDArray[Any], domain: Domain, where: torch.device) -> torch.Tensor:
    from pipeline.imaging.image import Image, Metadata
    from pipeline.imaging.radiometry import to_tensor

    if guide.ndim not in (2, 3) or guide.dtype.name != domain.dtype:
        raise ValueError(
            f"guide: needs HW or HWP of {domain.dtype}, got {guide.dtype} of shape {guide.shape}"
        )
    pixels_HWP = guide if guide.ndim == 3 else guide[..., None]
    return to_tensor(Image(pixels_HWP, domain, Metadata("array")), where)


def _blur(kernel: NDArray[Any]) -> KernelBlur:
    import numpy as np

    from pipeline.conditions.kernels import blur_of, checked_kernel

    return blur_of(checked_kernel(np.asarray(kernel)), "symmetric")


def _domain(dtype: np.dtype[Any], value_range: tuple[float, float] | None) -> Domain:
    from pipeline.imaging.image import Domain

    if value_range is not None:
        low, high = checked_range(value_range)
        return Domain(dtype.name, low, high, rule="job")
    return Domain.of_integers(dtype.name) if dtype.kind in "ui" else Domain(dtype.name, 0.0, 1.0)


@lru_cache(maxsize=4)
def _built(restorer: str) -> Restorer:
    """Kept, so that a second image does not wait for the weights again."""
    from models import catalog
    from models.names import is_address
    from pipeline.recipe.weights import fetch_restorer

    return fetch_restorer(restorer) if is_address(restorer) else catalog.build(restorer)
