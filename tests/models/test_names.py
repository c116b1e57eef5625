"""Names and addresses, and what is said of an unknown name."""

import pytest

from models.names import is_address, unknown


@pytest.mark.parametrize("text", ["weights.PTH", "models/x", "s3://bucket/x", "x.safetensors"])
def test_an_address_has_a_slash_or_the_ending_of_weights(text):
    assert is_address(text)


@pytest.mark.parametrize("text", ["ffdnet-colour", "bicubic-x4", "x.bin"])
def test_other_words_are_names(text):
    assert not is_address(text)


def test_an_unknown_name_is_told_with_the_nearest_or_with_all():
    assert unknown("metric", "ssmi", ["psnr", "ssim"]) == 'unknown metric "ssmi"; did you mean "ssim"?'
    assert unknown("metric", "zzz", {"ssim": 1, "psnr": 2}) == 'unknown metric "zzz"; known are psnr, ssim'
    assert unknown("parameter", "zzz", []) == 'unknown parameter "zzz"; known are none'
