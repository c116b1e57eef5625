"""Several frames of one scene made one finer image, whatever their order: multi-image super-resolution.

After Deudon et al., "HighRes-net: Recursive Fusion for Multi-Frame Super-Resolution of Satellite Imagery",
2020 (each frame is encoded beside a common image), and Salvetti et al., "Multi-Image Super Resolution of
Remotely Sensed Images Using Residual Attention Deep Neural Networks", Remote Sensing 2020 (attention over
frames). The common image is the one that explains the frames (``models.stacks.explaining``); what is learnt
is what it lacks. Frames are not moved onto it by interpolation but spread over the finer grid from where they
were registered.

Shapes: B batch, T frames with the image itself, C channels, K features of a frame, H and W height and width,
s the scale, P and Q s times H and W.
"""

from __future__ import annotations

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least
from models.stacks.adding import added
from models.stacks.explaining import explained
from models.stacks.registration import register
from models.stacks.sampling import Sampling

WIDTH = 0.55
"""Standard deviation of a sample's weight, in pixels of the finer image."""
PIXEL = 0.38
"""Standard deviation of what a camera's pixel sees, optics with it, in pixels of a frame."""
ITERATIONS = 12
PRIOR = 1.2
"""Weight of the total variation, in units of the noise's variance."""
LEAST = 0.05
"""Weight of a sample that says nothing, at each place: where no other fell, nothing is added."""
GAIN = 8.0
"""Of what frames miss: so that it is about as large as the image."""
SURE = 4.0
"""Largest logarithm of a sample's weight, against that of one which nothing speaks for or against."""


class FrameFusion(nn.Module):
    """BCHW and its other frames BTCHW, in [0, 1] -> BC(sH)(sW), not clipped; any scale of 1 or more.

    The order of the frames changes no bit: they are put into an order of their own before anything is added.
    Frames that show something else, black ones too, count for nothing. Untrained it gives back the image that
    explains the frames.
    """

    conditions = ("frames",)
    halo = None
    multiple_of = 1
    minimum_size = 8

    def __init__(
        self, channels: int = 3, features: int = 48, layers: int = 6, frame_features: int = 4, scale: int = 3
    ) -> None:
        super().__init__()
        numbers = {"channels": channels, "features": features, "layers": layers, "scale": scale}
        require_at_least("FrameFusion", 1, frame_features=frame_features, **numbers)
        self.channels, self.scale = channels, scale
        self.encoder = nn.Sequential(
            nn.Conv2d(2 * channels, 4 * frame_features, 3, padding=1),
            nn.PReLU(4 * frame_features),
            nn.Conv2d(4 * frame_features, 1 + frame_features, 3, padding=1),
        )
        inner = (2 * channels + frame_features + 1) * scale**2
        body: list[nn.Module] = []
        for i in range(layers + 1):
            body += [nn.Conv2d(features if i else inner, features, 3, padding=1), nn.PReLU(features)]
        self.body = nn.Sequential(*body)
        self.tail = nn.Conv2d(features, channels * scale**2, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, image_BCHW: Tensor, frames_BTCHW: Tensor) -> Tensor:
        """The fused and enlarged image."""
        stack_BTCHW = torch.cat([image_BCHW[:, None], self._in_order(frames_BTCHW)], 1)
        # Small differences of large sums: in half precision nothing would be left of them.
        with torch.no_grad(), torch.autocast(image_BCHW.device.type, enabled=False):
            shift_BT2, usable_BT = self._registered(image_BCHW, stack_BTCHW[:, 1:])
            shift_BT2 = F.pad(shift_BT2, (0, 0, 1, 0))
            known_BT = F.pad(usable_BT.to(image_BCHW), (1, 0), value=1.0)
            pixels = self._sampling(PIXEL * self.scale, stack_BTCHW, shift_BT2).normalised()
            laid = self._sampling(WIDTH, stack_BTCHW, shift_BT2)
            start_BCPQ, noise_B = self._start(stack_BTCHW, known_BT, laid)
            weight_B = PRIOR * noise_B**2
            common_BCPQ = explained(
                start_BCPQ, stack_BTCHW, known_BT, pixels, weight_B, ITERATIONS, self.scale
            )
            missed_BTCHW = GAIN * (stack_BTCHW - pixels.seen(common_BCPQ))
        features = self._attended(stack_BTCHW, missed_BTCHW, known_BT, laid)
        seen = torch.cat([common_BCPQ, features], 1)
        details = self.tail(self.body(F.pixel_unshuffle(seen, self.scale)))
        return common_BCPQ + F.pixel_shuffle(details, self.scale)

    def _in_order(self, frames_BTCHW: Tensor) -> Tensor:
        """Of each image the frames in an order that depends on what they hold alone."""
        if frames_BTCHW.shape[1] < 2:
            return frames_BTCHW
        return torch.stack([torch.stack(sorted(each_TCHW, key=_fingerprint)) for each_TCHW in frames_BTCHW])

    def _registered(self, image_BCHW: Tensor, frames_BTCHW: Tensor) -> tuple[Tensor, Tensor]:
        """How far frames lie from the image (BT2), and which show it (BT)."""
        found = register(image_BCHW, frames_BTCHW)
        return found.shift_BT2, found.usable

    def _start(self, stack_BTCHW: Tensor, known_BT: Tensor, laid: Sampling) -> tuple[Tensor, Tensor]:
        """BCPQ, and the noise of each image (B)."""
        return added(stack_BTCHW, known_BT, laid, self.scale)

    def _sampling(self, width: float, stack_BTCHW: Tensor, shift_BT2: Tensor) -> Sampling:
        size = (stack_BTCHW.shape[-2], stack_BTCHW.shape[-1])
        return Sampling(shift_BT2, self.scale, width, size).to(stack_BTCHW)

    def _attended(
        self, stack_BTCHW: Tensor, missed_BTCHW: Tensor, known_BT: Tensor, laid: Sampling
    ) -> Tensor:
        """What the frames miss in the common image and K features more, and how well both are known."""
        batch, count = known_BT.shape
        encoded = self.encoder(torch.cat([stack_BTCHW, missed_BTCHW], 2).flatten(0, 1))
        encoded_BTKHW = encoded.view(batch, count, *encoded.shape[1:]).to(stack_BTCHW)
        sure_BT1HW = SURE * torch.tanh(encoded_BTKHW[:, :, :1] / SURE)
        weight_BT1HW = known_BT[..., None, None, None] * sure_BT1HW.exp()
        values = weight_BT1HW * torch.cat([missed_BTCHW, encoded_BTKHW[:, :, 1:]], 2)
        with torch.autocast(values.device.type, enabled=False):
            total_B1PQ = LEAST + laid.spread(weight_BT1HW)
            return torch.cat([laid.spread(values) / total_B1PQ, total_B1PQ.log()], 1)


def _fingerprint(frame_CHW: Tensor) -> bytes:
    pixels = frame_CHW.detach().float().cpu().contiguous().numpy()
    return hashlib.sha256(pixels.tobytes()).digest()
