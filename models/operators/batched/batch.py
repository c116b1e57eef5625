"""Images of several sizes in one tensor.

Shapes: B batch, C channels, H and W height and width of the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.operators.base import Operator


@dataclass(frozen=True)
class Batch:
    """Images, each in the upper left corner of its own canvas."""

    image_BCHW: Tensor
    """Whatever lies beyond an image's own size means nothing."""
    sizes: tuple[tuple[int, int], ...]
    """Height and width of each."""

    @classmethod
    def of(cls, image_BCHW: Tensor) -> Batch:
        """Images of one size."""
        return cls(image_BCHW, (tuple(image_BCHW.shape[2:]),) * len(image_BCHW))  # type: ignore[arg-type]

    @classmethod
    def joined(cls, images: Sequence[Tensor]) -> Batch:
        """Images 1CHW of any sizes, of one number of channels."""
        sizes = tuple((each.shape[2], each.shape[3]) for each in images)
        if len(set(sizes)) == 1:
            return cls(torch.cat(list(images)), sizes)
        height, width = (max(sides) for sides in zip(*sizes, strict=True))
        canvas_BCHW = images[0].new_zeros(len(images), images[0].shape[1], height, width)
        for canvas_CHW, image_1CHW, (own_height, own_width) in zip(canvas_BCHW, images, sizes, strict=True):
            canvas_CHW[:, :own_height, :own_width] = image_1CHW[0]
        return cls(canvas_BCHW, sizes)

    @property
    def is_uniform(self) -> bool:
        """Whether all images have the size of the canvas."""
        return all(size == tuple(self.image_BCHW.shape[2:]) for size in self.sizes)

    def images(self) -> list[Tensor]:
        """1CHW each, in its own size."""
        return [
            image_CHW[None, :, :height, :width]
            for image_CHW, (height, width) in zip(self.image_BCHW, self.sizes, strict=True)
        ]

    def column(self, values: Sequence[float]) -> Tensor:
        """B111: one value an image, like the images."""
        return self.image_BCHW.new_tensor(values)[:, None, None, None]

    def with_pixels(self, image_BCHW: Tensor) -> Batch:
        """Other pixels of the same sizes."""
        return Batch(image_BCHW, self.sizes)


def fields(operators: Sequence[Operator], name: str) -> list[float]:
    """A parameter of each operator."""
    return [getattr(each, name) for each in operators]
