"""Motion in k-space: against displaced images, line by line, by hand."""

import numpy as np
import pytest
import torch
from scipy.ndimage import fourier_shift
from skimage.data import camera

from models.operators.magnetic_resonance import Motion
from tests.operator_contract import seeded


@pytest.fixture(scope="module")
def scene():
    """A crop of a photograph, 1 x 1 x 96 x 81: the law is of any image, and sides are even and odd."""
    crop = camera()[60:156, 180:261].astype(np.float64)
    return torch.from_numpy(crop / 255)[None, None]


def by_hand(image_HW, motion):
    """Every line of k-space out of the image that lay there when it was acquired."""
    image_HW = image_HW if motion.encoding == "rows" else image_HW.T
    lines = image_HW.shape[0]
    rng = seeded()
    times = torch.rand(motion.movements, generator=rng).sort().values.numpy() * lines
    places = torch.randn(motion.movements + 1, 2, generator=rng).numpy() * motion.shift
    centre = places[(times < lines // 2).sum()]
    spectrum = np.fft.fft2(image_HW)
    measured = np.empty_like(spectrum)
    for acquired, line in enumerate(np.fft.fftshift(np.arange(lines))):
        down, right = places[(times < acquired).sum()] - centre
        shift = (down, right) if motion.encoding == "rows" else (right, down)
        measured[line] = fourier_shift(spectrum, shift)[line]
    result = np.abs(np.fft.ifft2(measured))
    return result if motion.encoding == "rows" else result.T


@pytest.mark.parametrize("encoding", ["rows", "columns"])
def test_every_line_sees_the_image_where_it_lay(scene, encoding):
    motion = Motion(shift=1.5, movements=4, encoding=encoding)
    moved = motion(scene, seeded())[0, 0].numpy()
    np.testing.assert_allclose(moved, by_hand(scene[0, 0].numpy(), motion), atol=1e-6)
    assert np.abs(moved - scene[0, 0].numpy()).max() > 0.05


def test_a_patient_who_lies_still_is_seen_as_is(scene):
    torch.testing.assert_close(Motion(shift=0.0)(scene, seeded()), scene, atol=1e-12, rtol=0)
