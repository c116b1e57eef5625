"""Fast Fourier convolution: some channels see neighbours, the others the whole image at once.

Chi, Jiang and Mu, "Fast Fourier Convolution", NeurIPS 2020, section 3; with the settings of Suvorov et
al., "LaMa", WACV 2022: no local Fourier unit, orthonormal transforms.

Shapes: B batch, F features, H and W height and width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FourierUnit(nn.Module):
    """A 1 x 1 convolution, batch normalisation and ReLU on the real Fourier transform.

    Works in float32 under any autocast: in half precision spectra overflow, and cuFFT takes powers of
    two only.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2 * features, 2 * features, 1, bias=False)
        self.norm = nn.BatchNorm2d(2 * features)

    def forward(self, features_BFHW: Tensor) -> Tensor:
        """The same shape."""
        batch, count, height, width = features_BFHW.shape
        with torch.autocast(features_BFHW.device.type, enabled=False):
            precise_BFHW = features_BFHW.to(self.convolution.weight.dtype)
            spectrum_BFHW = torch.fft.rfft2(precise_BFHW, norm="ortho")
            # Real and imaginary parts become neighbouring channels.
            parts_BFHW = torch.view_as_real(spectrum_BFHW).permute(0, 1, 4, 2, 3).flatten(1, 2)
            parts_BFHW = F.relu(self.norm(self.convolution(parts_BFHW)))
            parts_BFHW2 = parts_BFHW.view(batch, count, 2, height, -1).permute(0, 1, 3, 4, 2).contiguous()
            spectrum_BFHW = torch.view_as_complex(parts_BFHW2)
            changed_BFHW: Tensor = torch.fft.irfft2(spectrum_BFHW, (height, width), norm="ortho")
        return changed_BFHW.to(features_BFHW.dtype)


class SpectralTransform(nn.Module):
    """A Fourier unit beside the identity, between 1 x 1 convolutions that halve and restore the width."""

    def __init__(self, features: int) -> None:
        super().__init__()
        inner = features // 2
        self.narrow = nn.Sequential(
            nn.Conv2d(features, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(inplace=True)
        )
        self.fourier_unit = FourierUnit(inner)
        self.widen = nn.Conv2d(inner, features, 1, bias=False)

    def forward(self, features_BFHW: Tensor) -> Tensor:
        """The same shape."""
        narrow_BFHW = self.narrow(features_BFHW)
        widened_BFHW: Tensor = self.widen(narrow_BFHW + self.fourier_unit(narrow_BFHW))
        return widened_BFHW


class FourierConvolution(nn.Module):
    """3 x 3 convolutions among ``local`` channels and between them and the rest; spectra among the rest.

    The first ``local`` channels are the local ones, before and after. Batch normalisation and ReLU at
    the end.
    """

    def __init__(self, features: int, local: int) -> None:
        super().__init__()
        self.split = [local, features - local]
        self.to_local = nn.Conv2d(features, local, 3, padding=1, bias=False, padding_mode="reflect")
        self.local_to_global = nn.Conv2d(
            local, features - local, 3, padding=1, bias=False, padding_mode="reflect"
        )
        self.global_to_global = SpectralTransform(features - local)
        self.norm = nn.BatchNorm2d(features)

    def forward(self, features_BFHW: Tensor) -> Tensor:
        """The same shape."""
        local_BFHW, global_BFHW = torch.split(features_BFHW, self.split, dim=1)
        new_global_BFHW = self.local_to_global(local_BFHW) + self.global_to_global(global_BFHW)
        both_BFHW = torch.cat((self.to_local(features_BFHW), new_global_BFHW), dim=1)
        return F.relu(self.norm(both_BFHW))
