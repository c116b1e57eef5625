"""In which lower precisions the shipped restorers may run: those measured to cost next to nothing."""

from __future__ import annotations

LARGEST_LOSS = 0.01
"""In dB, the mean over the photographs: what a precision that is called safe may cost at most."""

MEASURED: dict[str, dict[str, float]] = {
    "ffdnet-colour": {"float16": -0.0006, "bfloat16": -0.0439},
    "ffdnet-grey": {"float16": -0.0005, "bfloat16": -0.0339},
    "ffdnet-grey-quantiles": {"float16": -0.0005, "bfloat16": -0.0339},  # its image is ffdnet-grey's
    "despeckle": {"float16": 0.0, "bfloat16": -0.0002},
    "nafnet-jpeg": {"float16": 0.0, "bfloat16": -0.0017},
    "nafnet-motion": {"float16": 0.0007, "bfloat16": -0.0718},
    "nafnet-motion-gan": {"float16": -0.0002, "bfloat16": -0.0114},
    "srvgg-x2": {"float16": -0.0001, "bfloat16": 0.0001},
    "srvgg-x4": {"float16": -0.0002, "bfloat16": -0.0002},
    "srgan-x4": {"float16": -0.0001, "bfloat16": 0.0002},
    "inpaint-gated": {"float16": 0.0, "bfloat16": 0.0002},
}
"""PSNR against the original minus that of float32, in dB: ``benchmarks/precision_loss.py``, on a CPU, whose
sums are of float32 as those of tensor cores are. The worst of six photographs loses 0.002 in float16."""


def safe_precisions(name: str) -> tuple[str, ...]:
    """Of a shipped restorer, for its card: float32, and what costs at most ``LARGEST_LOSS``."""
    losses = MEASURED.get(name, {})
    return ("float32", *(each for each, gain in losses.items() if gain >= -LARGEST_LOSS))
