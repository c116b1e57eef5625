"""Linear light: the standard's curve written out, there and back, and what it is for."""

import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F

from models import catalog
from models.card import Card
from models.restorer import Restorer
from models.solvers.linear_light import to_linear, to_srgb
from tests.restorer_contract import CHECKS, scene


def light(stored: float) -> float:
    """IEC 61966-2-1, equations 5 and 6."""
    return stored / 12.92 if stored <= 0.04045 else ((stored + 0.055) / 1.055) ** 2.4


def stored(light: float) -> float:
    """IEC 61966-2-1, equations 9 and 10."""
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def around(model, **facts) -> Restorer:
    inner = Restorer(Card(name="probe", summary="A probe.", task="general", **facts), model)
    return catalog.build_solver("linear_light", restorer=inner)


def test_the_curve_is_the_standards():
    steps = np.linspace(0, 1, 1001)
    tensor = torch.from_numpy(steps)
    np.testing.assert_allclose(to_linear(tensor), [light(each) for each in steps], rtol=1e-14)
    np.testing.assert_allclose(to_srgb(tensor), [stored(each) for each in steps], rtol=1e-14)


def test_every_value_of_sixteen_bits_comes_back_and_nothing_is_clipped():
    codes = torch.arange(65536)
    again = to_srgb(to_linear(codes.float() / 65535))
    assert torch.equal((again * 65535).round().long(), codes)
    beyond = torch.linspace(-2, 3, 5001)
    torch.testing.assert_close(to_srgb(to_linear(beyond)), beyond)
    torch.testing.assert_close(to_linear(-beyond), -to_linear(beyond))
    assert bool((to_linear(beyond).diff() > 0).all())
    assert float(to_linear(torch.tensor(1.5))) == pytest.approx(((1.5 + 0.055) / 1.055) ** 2.4)


def test_a_value_is_the_same_wherever_it_lies():
    """Or tiles would show: PyTorch computes the last few values of a row in another way."""
    values = torch.rand(10_000, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1
    for curve in (to_linear, to_srgb):
        in_pieces = torch.cat([curve(piece) for piece in values.split(3)])
        assert torch.equal(in_pieces, curve(values))


def test_the_mean_of_black_and_white_is_half_the_light():
    """Fine lines seen from afar: 188 of 255 on a screen, where the mean of the stored values is 127.5."""
    lines = (torch.arange(16) % 2).float().expand(1, 3, 12, 16)

    def blurred(image, condition):
        return F.avg_pool2d(image, (1, 2), stride=1, padding=(0, 1))[..., :16]

    inside = around(blurred, halo=1)(lines)[..., 2:-2]
    torch.testing.assert_close(inside, torch.full_like(inside, stored(0.5)))
    assert round(255 * stored(0.5)) == 188


def test_a_filter_that_undoes_optics_does_so_in_light_alone():
    """A lens blurs light; the inverse filter of just that blur, on light and on stored values."""
    sharp = torch.from_numpy(skimage.data.camera()[100:164, 180:244] / 255.0)[None, None]
    distance = torch.fft.fftfreq(64)
    lens = torch.exp(-0.5 * (2 * torch.pi * 0.5) ** (2) * (distance[:, None] ** 2 + distance**2)).double()

    def undone(image, condition):
        return torch.fft.ifft2(torch.fft.fft2(image.double()) / lens).real.to(image.dtype)

    seen = to_srgb(torch.fft.ifft2(torch.fft.fft2(to_linear(sharp)) * lens).real).float()
    facts = {"halo": None, "tile_exact": False}
    plain = Restorer(Card(name="plain", summary="A probe.", task="general", **facts), undone)
    in_light, in_values = around(undone, **facts)(seen), plain(seen)
    torch.testing.assert_close(in_light.double(), sharp, atol=1e-4, rtol=0)
    assert float((in_values - sharp).abs().max()) > 0.02


def test_enlarging_keeps_the_amount_of_light():
    page = torch.from_numpy(skimage.data.page()[:180, :360].astype(np.float32) / 255)[None, None]
    small = to_srgb(F.avg_pool2d(to_linear(page), 4))
    inner = catalog.build("bicubic-x4")
    outer = catalog.build_solver("linear_light", restorer="bicubic-x4")
    gained = [float(to_linear(each(small)).mean() / to_linear(page).mean()) - 1 for each in (inner, outer)]
    assert abs(gained[1]) < 0.25 * abs(gained[0])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract(check):
    check(catalog.build_solver("linear_light", restorer="bicubic"))


def test_the_card_is_that_of_the_restorer_within():
    inner, outer = catalog.build("bicubic-x2"), catalog.build_solver("linear_light", restorer="bicubic-x2")
    for fact in ("task", "scale", "channels", "multiple_of", "minimum_size", "halo", "tile_exact", "needs"):
        assert getattr(outer.card, fact) == getattr(inner.card, fact)
    degraded = scene(3, 20, 14)
    expected = to_srgb(inner(to_linear(degraded)))
    assert torch.equal(outer(degraded), expected)
    assert float((expected - inner(degraded)).abs().max()) > 0.01


@pytest.mark.parametrize("name", ["wiener", "ffdnet-colour", "wavelet"])
def test_what_goes_by_stored_values_is_refused(name):
    with pytest.raises(ValueError, match=f"linear_light: {name} (inverts operators|needs the noise level)"):
        catalog.build_solver("linear_light", restorer=name)
