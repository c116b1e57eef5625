"""What lower precision costs the shipped restorers in dB, on a CPU: ``python benchmarks/precision_loss.py``.

Six photographs of scikit-image, 256 x 256, degraded as each restorer's task asks. TF32 is imitated: what
convolutions and linear layers multiply is rounded to ten bits, and summed in float32. One Markdown table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import skimage
import torch
from torch import Tensor, nn

from models import catalog
from models.contract import Condition
from models.networks import NetworkModel
from models.restorer import Restorer
from pipeline.degradation.degradation import build_degradation
from pipeline.jobs.specs import DegradationSpec

TASKS = {
    "ffdnet-colour": "awgn-25",
    "ffdnet-grey": "awgn-25",
    "despeckle": "speckle-1-look",
    "nafnet-jpeg": "jpeg-q10",
    "nafnet-motion": "motion",
    "nafnet-motion-gan": "motion",
    "srvgg-x2": "bicubic-x2",
    "srvgg-x4": "bicubic-x4",
    "srgan-x4": "bicubic-x4",
    "inpaint-gated": "inpaint-medium",
}
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "ihc.png", "motorcycle_left.png", "rocket.jpg")
SIDE = 256
PRECISIONS = ("float32", "TF32", "float16", "bfloat16")
LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def main() -> None:
    """A line a restorer: PSNR in float32, then what each precision changes, mean and worst image."""
    print("| restorer | degradation | float32 | " + " | ".join(f"{p} (worst)" for p in PRECISIONS[1:]) + " |")
    print("| --- | --- | ---: " + "| ---: " * (len(PRECISIONS) - 1) + "|", flush=True)
    for name, degradation in TASKS.items():
        found = {precision: np.array(list(scores(name, degradation, precision))) for precision in PRECISIONS}
        exact = found.pop("float32")
        cells = [f"{(s - exact).mean():+.4f} ({(s - exact).min():+.4f})" for s in found.values()]
        print(f"| {name} | {degradation} | {exact.mean():.3f} | " + " | ".join(cells) + " |", flush=True)


def scores(name: str, degradation: str, precision: str) -> Iterator[float]:
    """PSNR of each photograph in dB."""
    built = catalog.build(name)
    degrade = build_degradation(DegradationSpec(name=degradation))
    lower = precision if precision in ("float16", "bfloat16") else "float32"
    restorer = Restorer(replace(built.card, precisions=("float32", lower)), built.model, precision=lower)
    for seed, clean_1CHW in enumerate(photographs()):
        if built.card.channels == 1:
            clean_1CHW = clean_1CHW.mean(dim=1, keepdim=True)
        degraded = degrade(clean_1CHW, seed)
        with imitated_tf32(built.model) if precision == "TF32" else nullcontext():
            restored_1CHW = restored(restorer, degraded.image_BCHW, degraded.condition)
        error = (restored_1CHW.clamp(0, 1) - clean_1CHW).square().mean()
        yield float(-10 * error.log10())


def restored(restorer: Restorer, degraded_1CHW: Tensor, condition: Condition) -> Tensor:
    return restorer(degraded_1CHW, condition=condition).float()


def photographs() -> Iterator[Tensor]:
    """1CHW, the middle of each."""
    for name in PHOTOGRAPHS:
        with PIL.Image.open(Path(skimage.__file__).parent / "data" / name) as image:
            left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
            middle = np.array(image.convert("RGB").crop((left, top, left + SIDE, top + SIDE)))
        yield torch.from_numpy(middle).permute(2, 0, 1)[None].float() / 255


def imitated_tf32(model: object) -> AbstractContextManager[None]:
    """Inside, the network multiplies as tensor cores do with float32."""
    assert isinstance(model, NetworkModel)
    return _imitated(model.network)


@contextmanager
def _imitated(network: nn.Module) -> Iterator[None]:
    layers = [each for each in network.modules() if isinstance(each, LAYERS)]
    weights = [each.weight.data for each in layers]
    hooks = [
        each.register_forward_pre_hook(lambda _, given: (rounded(given[0]), *given[1:])) for each in layers
    ]
    for layer, weight in zip(layers, weights, strict=True):
        layer.weight.data = rounded(weight)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for layer, weight in zip(layers, weights, strict=True):
            layer.weight.data = weight


def rounded(values: Tensor) -> Tensor:
    """To ten bits behind the leading one, ties to even."""
    bits = values.contiguous().view(torch.int32)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


if __name__ == "__main__":
    main()
