"""Pixels to a device and back: the same bits, whatever the device and whoever works on it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from models.guard import limits
from pipeline.imaging.image import Domain, Image, Metadata
from pipeline.imaging.radiometry import quantised, returns_exactly, to_stored, to_tensor
from pipeline.imaging.transfer import beside_other_work, download, hand_over

CPU = torch.device("cpu")
NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_GPU])]


def every_value(dtype: str) -> Image:
    values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
    return Image(values.reshape(-1, 16, 1), Domain.of_integers(dtype), Metadata("png"))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_every_stored_value_is_the_same_on_every_device_and_comes_back(device, dtype):
    image, on_device = every_value(dtype), torch.device(device)
    assert returns_exactly(image.domain)
    unit_1CHW = to_tensor(image, on_device)
    torch.testing.assert_close(unit_1CHW.cpu(), to_tensor(image, CPU), rtol=0, atol=0)
    rounded_1CHW, clipped_B = quantised(unit_1CHW, image.domain)
    torch.testing.assert_close(rounded_1CHW, unit_1CHW, rtol=0, atol=0)
    assert clipped_B.tolist() == [0]
    stored_BHWC = to_stored(unit_1CHW, image.domain)
    assert stored_BHWC.dtype == dtype
    np.testing.assert_array_equal(stored_BHWC[0], image.pixels_HWC)


@pytest.mark.parametrize("device", DEVICES)
def test_other_types_come_down_as_they_are(device):
    values_BCHW = torch.linspace(-3, 7, 24, device=device).reshape(2, 1, 3, 4)
    stored_BHWC = download(values_BCHW, "float64").pixels_BHWC
    assert stored_BHWC.dtype == np.float64
    np.testing.assert_array_equal(stored_BHWC[..., 0], values_BCHW[:, 0].cpu().double().numpy())


@pytest.mark.parametrize("device", DEVICES)
def test_threads_that_work_beside_one_another_hand_over_what_is_done(device):
    on_device = torch.device(device)

    def work(number: int) -> torch.Tensor:
        with beside_other_work(on_device):
            sum_ = torch.full((512, 512), float(number)).to(on_device)
            for _ in range(20):
                sum_ = sum_ + 1
            hand_over(sum_, None)
        return sum_

    with ThreadPoolExecutor(4) as threads:
        for number, sum_ in enumerate(threads.map(work, range(8))):
            assert torch.unique(sum_).tolist() == [number + 20]


@pytest.mark.parametrize("device", DEVICES)
def test_limits_are_those_of_each_image(device):
    image_BCHW = torch.randn(3, 2, 5, 7, generator=torch.Generator().manual_seed(0)).to(device)
    image_BCHW[1, 0, 2, 2] = torch.nan
    low_B, high_B = limits(image_BCHW).cpu()
    assert low_B[[0, 2]].tolist() == image_BCHW[[0, 2]].amin(dim=(1, 2, 3)).tolist()
    assert high_B[[0, 2]].tolist() == image_BCHW[[0, 2]].amax(dim=(1, 2, 3)).tolist()
    assert low_B[1].isnan()
    assert high_B[1].isnan()
