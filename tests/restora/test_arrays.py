"""One image in memory: what holds no data, and what comes back to the bit."""

import numpy as np
import pytest

import restora

PHOTO = np.random.default_rng(0).integers(1, 200, (24, 32)).astype(np.float32) / 255


@pytest.mark.parametrize("dtype", ["float64", "int32", "uint32", "int16", ">u2", ">f4"])
def test_what_a_restorer_leaves_alone_comes_back_to_the_bit(dtype):
    numbers = np.random.default_rng(0).random((16, 20, 2)) if dtype[-2] == "f" or dtype[0] == "f" else None
    image = (numbers if numbers is not None else np.arange(640).reshape(16, 20, 2) * 51).astype(dtype)
    made = restora.restore_array(image, "identity")
    assert made.dtype == image.dtype.newbyteorder("=")
    np.testing.assert_array_equal(made, image)


@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_one_pixel_without_data_costs_no_other(hole):
    image = PHOTO.copy()
    image[10, 10] = hole
    made = restora.restore_array(image, "ffdnet-grey", noise_level=15)
    np.testing.assert_array_equal(made[10, 10], image[10, 10])
    assert np.isfinite(np.delete(made.ravel(), 10 * 32 + 10)).all()
    plain = restora.restore_array(PHOTO, "ffdnet-grey", noise_level=15)
    assert np.abs(made[16:, 16:] - plain[16:, 16:]).max() < 0.1


def test_a_masked_array_comes_back_masked_and_nobody_sees_what_is_beneath():
    hidden = np.zeros(PHOTO.shape, bool)
    hidden[:6] = True
    image = np.ma.MaskedArray(np.where(hidden, np.float32(-9999), PHOTO), hidden, fill_value=-9999)
    made = restora.restore_array(image, "median")
    assert isinstance(made, np.ma.MaskedArray)
    np.testing.assert_array_equal(made.mask, hidden)
    np.testing.assert_array_equal(made.data[:6], np.float32(-9999))
    assert made.min() >= 0
    assert made.fill_value == -9999
    larger = restora.restore_array(image, "bicubic-x2")
    np.testing.assert_array_equal(larger.mask, hidden.repeat(2, 0).repeat(2, 1))
    assert larger.data[12:].min() > -1


def test_an_array_without_data_is_refused():
    with pytest.raises(ValueError, match="not one pixel"):
        restora.restore_array(np.full((8, 8), np.nan), "identity")
