"""What a job tells of the images of a dataset, read once; and of one image, once it is decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.contract import Condition
from models.operators.base import LinearOperator
from pipeline.conditions import masks
from pipeline.conditions.estimated import estimated_blur
from pipeline.conditions.fixed import fixed_blur, fixed_guide, fixed_mask
from pipeline.conditions.frames import FrameFile, frames_of
from pipeline.conditions.guides import checked_guide, guide_condition, guide_image, split
from pipeline.conditions.kernels import blur_of, read_kernel, refuse_larger
from pipeline.conditions.masks import Known
from pipeline.formats.base import Limits
from pipeline.hashing import sha256_hex
from pipeline.imaging.image import Image
from pipeline.imaging.radiometry import in_units, to_tensor
from pipeline.jobs.conditions import BlurSpec, GuideSpec, MaskSpec
from pipeline.jobs.datasets import Dataset, Radiometry
from pipeline.jobs.job import Job
from pipeline.jobs.operators import OperatorSpec

_LISTED = MaskSpec(uri="listed")
"""How the masks of manifests are read."""


@dataclass(frozen=True)
class ConditionFiles:
    """The files that belong to one image alone."""

    mask: bytes | None = None
    kernel: bytes | None = None
    kernel_key: str = ""
    noise_level: float | None = None
    """What its listing says, in 1/255 of the value range."""
    frames: tuple[FrameFile, ...] = ()
    """The other frames of its scene."""
    place: int = 0
    """How many of the frames come before the image."""
    guide: bytes | None = None


NO_FILES = ConditionFiles()


@dataclass(frozen=True)
class Told:
    """What is known of one image."""

    noise_level: float | None = None
    """In 1/255 of the value range."""
    known_HW: Known | None = None
    operators: tuple[LinearOperator, ...] = ()
    frames: tuple[Image, ...] = ()
    """The other frames of its scene, of its size and pixel type."""
    place: int = 0
    """How many of the frames come before the image."""
    guide: Image | None = None
    """A sharper image of the scene, a whole number of times as large."""
    guided_size: tuple[int, int] = (0, 0)
    """Of the image itself, height and width."""
    row: dict[str, Any] = field(default_factory=dict)
    """For the column ``condition``: where it comes from, with digests."""
    left_alone: bool = False
    """Whether its blur was looked for and not found."""

    @property
    def kind(self) -> tuple[tuple[bool, ...], int, tuple[int, ...], int]:
        """What of noise, mask and blur is known; frames, the guide's size, frames before: a batch agrees."""
        known = (self.noise_level is not None, self.known_HW is not None, self.left_alone)
        return known, len(self.frames), () if self.guide is None else self.guide.size, self.place

    @property
    def nbytes(self) -> int:
        """Of mask, frames and guide."""
        mask = 0 if self.known_HW is None else self.known_HW.nbytes
        held = self.frames if self.guide is None else (*self.frames, self.guide)
        return mask + sum(each.pixels_HWC.nbytes for each in held)

    def condition(self, scale: int, device: torch.device, radiometry: Radiometry | None = None) -> Condition:
        """As a restorer is told; ``radiometry`` says what its images mean."""
        frames = [to_tensor(in_units(each, radiometry), device) for each in self.frames]
        mask_B1HW: Tensor | None = None
        if self.known_HW is not None:
            mask_B1HW = torch.from_numpy(self.known_HW.astype(np.float32))[None, None].to(device)
        level = None if self.noise_level is None else torch.tensor([self.noise_level / 255])
        return Condition(
            scale=scale,
            noise_level_B=level,
            mask_B1HW=mask_B1HW,
            frames_BTCHW=torch.stack(frames, 1) if frames else None,
            place=self.place,
            operators=self.operators,
            left_alone=self.left_alone,
        )

    def guided(
        self, condition: Condition, image: Image, size: tuple[int, int] | None, radiometry: Radiometry | None
    ) -> Condition:
        """With the guide, where there is one, for a restored image of ``size``: the guide's own else.

        Raises ``ImageError`` as ``guide_condition``.
        """
        if self.guide is None:
            return condition
        if size is None:
            size = self.guide.size[:2]
            condition = replace(condition, scale=size[0] // self.guided_size[0])
        return guide_condition(condition, self.guide, image, radiometry, size)


NOTHING = Told()


@dataclass(frozen=True)
class Given:
    """A dataset's ``mask``, ``operators``, ``guide``: ``told(image, files, image_of)`` of each image."""

    mask: MaskSpec | None = None
    blur: BlurSpec | None = None
    mask_file: tuple[Image, str] | None = None
    """The one mask of all images, and its digest."""
    operators: tuple[LinearOperator, ...] = ()
    """What blurred all images."""
    operators_row: Any = None
    guide: GuideSpec | None = None
    guide_file: tuple[Image, str] | None = None
    """The one guide of all images, and its digest."""
    is_grouped: bool = False
    """Whether its images are stacks of frames."""
    leaves_out: bool = False
    """Whether a damaged frame costs itself alone."""
    is_listed: bool = False
    """Whether a manifest may name a mask for each image."""

    @property
    def names(self) -> tuple[str, ...]:
        """The conditions of a card that are met."""
        met = (("mask", self.mask), ("operators", self.blur), ("guide", self.guide))
        stacks = ("frames",) if self.is_grouped else ()
        return (*(name for name, spec in met if spec is not None), *stacks)

    @property
    def may_tell(self) -> tuple[str, ...]:
        """The same, and what may be met for some images."""
        return (*self.names, "mask") if self.is_listed else self.names

    def specification(self) -> dict[str, Any]:
        """What of it decides pixels, in plain values: of files their digests, never their addresses."""
        values: dict[str, Any] = {}
        if self.mask is not None:
            mask = {"own": self.mask.own, "detect": list(self.mask.detect), "holes": self.mask.holes}
            values["mask"] = mask | {"file": self.mask_file and self.mask_file[1]}
        if self.blur is not None:
            values["operators"] = {"border": self.blur.border, "all": self.operators_row}
        if self.blur is not None and self.blur.estimate is not None:
            values["operators"]["estimate"] = self.blur.estimate
        if self.guide is not None:
            values["guide"] = {
                "bands": list(self.guide.bands),
                "file": self.guide_file and self.guide_file[1],
            }
        if self.leaves_out:
            values["group"] = {"damaged": "leave out"}
        return values

    def told(
        self, image: Image, files: ConditionFiles, image_of: Callable[[bytes], Image]
    ) -> tuple[Image, Told]:
        """The image as it is to be restored, and what is known of it; ``image_of`` decodes masks.

        ``ImageError`` with the reason where a file does not fit the image.
        """
        row: dict[str, Any] = {}
        known_HW = self._known(image, files, image_of, row)
        if known_HW is not None:
            image = masks.without_holes(image, known_HW, self.mask or _LISTED)
        operators, described = self.operators, self.operators_row
        if self.blur is not None and files.kernel is not None:
            kernel_KK = read_kernel(files.kernel, files.kernel_key)
            operators = (blur_of(kernel_KK, self.blur.border),)
            described = {"from": "uri", "sha256": sha256_hex(files.kernel)}
        if self.blur is not None and self.blur.estimate is not None:
            operators, described = estimated_blur(image, self.blur.estimate, self.blur.border)
        if self.blur is not None:
            refuse_larger(operators, image)
            row["operators"] = described
        image, guide = self._guide(image, files, image_of, row)
        given = frames_of(image, files.frames, image_of, self.leaves_out)
        if given:
            pairs = zip(given, files.frames, strict=True)
            row["frame_sha256"] = [sha256_hex(data) if frame is not None else "" for frame, data in pairs]  # type: ignore[arg-type]
        frames = tuple(each for each in given if each is not None)
        return image, Told(
            noise_level=files.noise_level,
            known_HW=known_HW,
            operators=operators,
            frames=frames,
            place=sum(each is not None for each in given[: files.place]),
            guide=guide,
            guided_size=image.size[:2],
            row=row,
            left_alone=self.blur is not None and not operators,
        )

    def _guide(
        self, image: Image, files: ConditionFiles, image_of: Callable[[bytes], Image], row: dict[str, Any]
    ) -> tuple[Image, Image | None]:
        """The image without the bands that guide it, and its guide."""
        if self.guide is None:
            return image, None
        bands = self.guide.bands
        row["guide"] = {"bands": list(bands)} if bands else {}
        if self.guide.is_own:
            return split(image, bands)
        if self.guide_file is not None:
            stored, digest = self.guide_file
            row["guide"] |= {"from": "file", "sha256": digest}
        elif files.guide is not None:
            stored = guide_image(files.guide, image_of)
            row["guide"] |= {"from": "uri", "sha256": sha256_hex(files.guide)}
        else:
            return image, None
        return image, checked_guide(stored, image, bands)

    def _known(
        self, image: Image, files: ConditionFiles, image_of: Callable[[bytes], Image], row: dict[str, Any]
    ) -> Known | None:
        """The pixels that are known, where a mask says so; the row says where it comes from."""
        mask = self.mask or _LISTED
        origin: dict[str, Any] = {}
        if mask.own is not None:
            known_HW, origin = masks.of_own(image, mask.own), {"from": mask.own}
        elif mask.detect:
            known_HW, origin = masks.detected(image, mask.detect), {"from": list(mask.detect)}
        elif self.mask_file is not None:
            stored, digest = self.mask_file
            known_HW = masks.of_file(stored, image, mask.holes)
            origin = {"from": "file", "sha256": digest}
        elif files.mask is not None:
            known_HW = masks.of_file(masks.mask_image(files.mask, image_of), image, mask.holes)
            origin = {"from": "listing" if self.mask is None else "uri", "sha256": sha256_hex(files.mask)}
        else:
            return None
        row["mask"] = origin | {"holes": round(float(1 - known_HW.mean()), 6)}
        return known_HW


def given_of(job: Job) -> dict[str, Given]:
    """Dataset -> what is told of it, files read. ``JobError`` names the field, what is wrong and the cure."""
    limits = Limits(job.limits.max_pixels)
    return {each.name: _given(each, f"datasets[{index}]", limits) for index, each in enumerate(job.datasets)}


def chain_of(dataset: Dataset) -> tuple[OperatorSpec, ...]:
    """The operators that a dataset's images went through, where the job names such."""
    return () if dataset.operators is None else dataset.operators.chain


def _given(dataset: Dataset, where: str, limits: Limits) -> Given:
    mask, blur = dataset.mask, dataset.operators
    operators: tuple[LinearOperator, ...] = ()
    row: Any = None
    if blur is not None:
        operators, row = fixed_blur(blur, dataset, f"{where}.operators")
    return Given(
        mask,
        blur,
        fixed_mask(dataset, f"{where}.mask", limits),
        operators,
        row,
        dataset.guide,
        fixed_guide(dataset, f"{where}.guide", limits),
        dataset.group is not None,
        dataset.group is not None and dataset.group.damaged == "leave out",
        dataset.is_manifest,
    )
