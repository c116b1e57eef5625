"""Photographs are turned as viewers turn them, against Pillow's own turn; and two are held alike."""

import io
from dataclasses import replace

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from skimage import data

from pipeline.conditions.frames import frames_of
from pipeline.conditions.guides import checked_guide
from pipeline.conditions.masks import of_file
from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.formats.turning import held_alike, orientation_of, upright
from pipeline.jobs.job import Job
from tests.helpers import complete, fill


def photograph(orientation, kind="PNG"):
    exif = PIL.Image.Exif()
    exif[274] = orientation
    buffer = io.BytesIO()
    PIL.Image.fromarray(data.astronaut()[:40, :60]).save(buffer, kind, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(orientation, kind):
    stored = photograph(orientation, kind)
    image = decode(stored)
    expected = PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(stored)))
    assert orientation_of(image) == orientation
    np.testing.assert_array_equal(upright(image.pixels_HWC, orientation_of(image)), np.asarray(expected))


def test_an_orientation_that_is_none_leaves_the_pixels():
    assert orientation_of(decode(photograph(9))) == 1


SHOWN = data.astronaut()[30:70, 180:240]
BACK = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
"""The orientation whose turn undoes another's."""


def held(orientation, shown=SHOWN, *, said=True):
    """The picture that is shown, as a camera stores it; with or without the tag."""
    picture = PIL.Image.fromarray(shown)
    exif = PIL.Image.Exif()
    if orientation != 1:
        exif[274] = BACK[orientation]
        picture.info["exif"] = exif.tobytes()
        picture = PIL.ImageOps.exif_transpose(picture)
    exif[274] = orientation
    buffer = io.BytesIO()
    picture.info.clear()
    picture.save(buffer, "PNG", **({"exif": exif} if said else {}))
    return buffer.getvalue()


def same_size(image):
    def fits(other):
        if other.size[:2] != image.size[:2]:
            raise ImageError("REFERENCE_SIZE", f"{other.size} and {image.size}")

    return fits


@pytest.mark.parametrize("its", range(1, 9))
@pytest.mark.parametrize("own", range(1, 9))
def test_two_images_that_show_the_same_have_their_pixels_in_the_same_places(own, its):
    image, other = decode(held(own)), decode(held(its))
    valid_HW = other.pixels_HWC[:, :, 0] > 99
    alike = held_alike(replace(other, valid_HW=valid_HW), image, same_size(image))
    np.testing.assert_array_equal(alike.pixels_HWC, image.pixels_HWC)
    np.testing.assert_array_equal(alike.valid_HW, image.pixels_HWC[:, :, 0] > 99)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_tag_that_was_dropped_is_seen_by_the_size_or_by_what_is_shown(orientation):
    noisy = np.clip(SHOWN + np.random.default_rng(0).normal(0, 50, SHOWN.shape), 0, 255).astype(np.uint8)
    image, other = decode(held(orientation)), decode(held(orientation, noisy, said=False))
    assert held_alike(other, image, same_size(image)) is other
    square = decode(held(orientation, SHOWN[:, :40]))
    upright_now = decode(held(1, noisy[:, :40], said=False))
    turned = held_alike(upright_now, square, same_size(square))
    np.testing.assert_array_equal(turned.pixels_HWC, decode(held(orientation, noisy[:, :40])).pixels_HWC)


def test_a_mask_that_says_nothing_lies_as_its_image_is_stored():
    marked = np.zeros(SHOWN.shape[:2], np.uint8)
    marked[:10, :20] = 255
    for orientation in range(2, 9):
        image = decode(held(orientation))
        stored, said, plain = (
            decode(held(*how)) if len(how) == 2 else decode(held(1, marked, said=False))
            for how in ((orientation, marked), (1, marked), ())
        )
        for mask in (stored, said):
            alike = held_alike(mask, image, same_size(image), alike=False)
            np.testing.assert_array_equal(alike.pixels_HWC, stored.pixels_HWC)
        kept = held_alike(plain, image, same_size(image), alike=False)
        expected = stored if orientation > 4 else plain  # whose size leaves no other way
        np.testing.assert_array_equal(kept.pixels_HWC, expected.pixels_HWC)


def test_masks_guides_and_frames_are_held_as_their_image():
    image, grey = decode(held(3)), np.ascontiguousarray(SHOWN[:, :, 0])
    mask = np.where(np.arange(60) < 7, 0, 255).astype(np.uint8) * np.ones((40, 1), np.uint8)
    known_HW = of_file(decode(held(1, mask)), image, "black")
    np.testing.assert_array_equal(known_HW, (mask > 0)[::-1, ::-1])
    guide = checked_guide(decode(held(1, grey.repeat(2, 0).repeat(2, 1))), image, ())
    np.testing.assert_array_equal(guide.pixels_HWC[::2, ::2, 0], grey[::-1, ::-1])
    (frame,) = frames_of(image, [held(1)], decode)
    np.testing.assert_array_equal(frame.pixels_HWC, image.pixels_HWC)
    with pytest.raises(ImageError, match="other sizes"):
        frames_of(image, [held(6, SHOWN[:30])], decode)


def test_pairs_are_scored_as_they_are_shown(tmp_path):
    clear = np.full(SHOWN.shape[:2], 255, np.uint8)
    shown = SHOWN.copy()
    shown[:9, :9], clear[:9, :9] = 0, 0  # a fault of the reference that its mask hides
    for name in range(1, 9):
        fill(tmp_path / "in", {f"{name}.png": held(name)})
        fill(tmp_path / "true", {f"{name}.png": held(1 if name > 1 else 3, shown)})
        fill(tmp_path / "clear", {f"{name}.png": held(1 if name > 1 else 3, clear)})
    rule = {"match": "(?P<id>.+)", "reference": "true/{id}", "clear": "clear/{id}"}
    dataset = {"name": "held", "uri": str(tmp_path / "in"), "references": {"uri": str(tmp_path), **rule}}
    job = Job.model_validate(
        {"name": "held", "output": str(tmp_path / "out"), "datasets": [dataset], "metrics": ["mse"]}
        | {"restorers": ["identity"]}
    )
    assert [(row["status"], row["mse"]) for row in complete(job)] == [("ok", 0.0)] * 8
