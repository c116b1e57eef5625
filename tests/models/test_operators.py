"""The contract over every operator, and the errors for wrong parameters and images."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from models.operators import OPERATORS, LinearOperator, Operator
from models.operators.kspace import birdcage
from tests.operator_contract import check_operator, random_image, seeded

EXAMPLES: list[tuple[str, dict]] = [
    ("bicubic", {"scale": 4}),
    ("bicubic", {"scale": 2, "rounding": "uint8"}),
    ("bicubic", {"scale": 1}),
    ("bilinear", {"scale": 2}),
    ("lanczos", {"scale": 4}),
    ("area", {"scale": 2, "rounding": "uint16"}),
    ("area", {"scale": 4}),
    ("nearest", {"scale": 4}),
    ("mtf", {"scale": 2, "mtf": 0.25}),
    ("resize", {"height": 40, "width": 90, "kernel": "bilinear"}),
    ("resize", {"height": 30, "width": 31, "antialias": False}),
    ("real_esrgan", {"scale": 4}),
    ("real_esrgan", {"scale": 1}),
    ("bsrgan", {"scale": 4}),
    ("bsrgan", {"scale": 2}),
    ("bsrgan", {"scale": 1}),
    ("correlated_noise", {"sigma": 25}),
    ("gaussian_blur", {"sigma": 1.6}),
    ("gaussian_blur", {"sigma": 0.4, "size": 21}),
    ("anisotropic_gaussian_blur", {"sigma_x": 2.0, "sigma_y": 0.7, "angle": 30.0}),
    ("anisotropic_gaussian_blur", {"sigma_x": 2.0, "sigma_y": 0.7, "angle": 30.0, "border": "circular"}),
    ("generalised_gaussian_blur", {"sigma_x": 2.0, "sigma_y": 1.0, "beta": 0.6, "angle": -70.0}),
    ("plateau_blur", {"sigma_x": 2.0, "sigma_y": 1.0, "beta": 1.5}),
    ("sinc", {"cutoff": math.pi / 2}),
    ("defocus", {"radius": 3.5}),
    ("defocus", {"radius": 1e-9}),
    ("motion_blur", {"length": 20.0, "shake": 0.05}),
    ("motion_blur", {"length": 20.0, "exposure": 0.1}),
    ("kernel_blur", {"values": ((0.0, 1.0, 2.0), (0.0, 3.0, 0.0), (0.5, 0.0, 0.0))}),
    ("gaussian_noise", {"sigma": 25}),
    ("gaussian_noise", {"sigma": 25, "rounding": "uint8", "grey": True}),
    ("poisson_noise", {"photons": 30.0}),
    ("poisson_noise", {"photons": 30.0, "grey": True}),
    ("poisson_gaussian_noise", {"gain": 0.01, "sigma": 3.0}),
    ("speckle", {"looks": 1}),
    ("speckle", {"looks": 4.4, "domain": "amplitude"}),
    ("salt_and_pepper", {"share": 0.1}),
    ("rician_noise", {"sigma": 10.0}),
    ("mr_motion", {"shift": 2.0, "movements": 3}),
    ("mr_motion", {"encoding": "columns"}),
    ("kspace_undersampling", {"acceleration": 4}),
    (
        "kspace_undersampling",
        {"acceleration": 8, "centre": 0.04, "pattern": "equispaced", "encoding": "rows"},
    ),
    ("kspace_undersampling", {"sensitivities": birdcage(3, 4)}),
    ("tomography", {"views": 9}),
    ("tomography", {"views": 8, "geometry": "fan"}),
    ("tomography_noise", {"photons": 1e4, "views": 10}),
    ("tomography_noise", {"attenuation": 1000.0, "views": 6}),
    ("tomography_noise", {"photons": 100, "views": 6, "geometry": "fan", "distance": 1.5}),
    ("stripes", {"gain": 0.02, "sigma": 4.0}),
    ("stripes", {"direction": "rows", "detectors": 16}),
    ("haze", {"density": 1.5}),
    ("haze", {"depth": "vertical"}),
    ("haze", {"depth": "flat"}),
    ("jpeg", {"quality": 10}),
    ("jpeg2000", {"ratio": 20.0}),
    ("jpeg2000", {"ratio": 20.0, "dtype": "uint16"}),
    ("differentiable_jpeg", {"quality": 40}),
    ("differentiable_jpeg", {"quality": 80.5, "subsampling": "4:4:4"}),
    ("mask", {"share": 0.3}),
    ("mask", {"share": 0.3, "shape": "strokes"}),
    ("box_mask", {}),
    ("box_mask", {"side": 0.3, "position": "random"}),
    ("irregular_mask", {"thickness": "thin"}),
    ("irregular_mask", {"thickness": "medium"}),
    ("irregular_mask", {"thickness": "thick"}),
    ("scan_line_gaps", {}),
    ("dead_columns", {"share": 0.1}),
    ("clouds", {"share": 0.4}),
    ("burst", {"frames": 3, "blur": 1.0, "clouded": 1, "lost": 1}),
    ("panchromatic", {"spread": 0.5, "sigma": 2.0}),
    ("clip", {"frames": 3, "speed": 3.0, "objects": 2}),
]

REFUSED: list[tuple[str, dict, str]] = [
    ("bicubic", {"scale": 0}, "scale"),
    ("bicubic", {"scale": 2.5}, "scale"),
    ("bicubic", {"scale": True}, "scale"),
    ("bicubic", {"scale": 4, "rounding": "int8"}, "rounding"),
    ("mtf", {"scale": 4, "mtf": 1.0}, "mtf"),
    ("mtf", {"scale": 4, "mtf": ()}, "mtf"),
    ("mtf", {"scale": 4, "mtf": (0.3, 0.0)}, "mtf"),
    ("mr_motion", {"shift": -1.0}, "shift"),
    ("mr_motion", {"movements": 2.5}, "movements"),
    ("mr_motion", {"encoding": "slices"}, "encoding"),
    ("kspace_undersampling", {"acceleration": 1}, "acceleration"),
    ("kspace_undersampling", {"acceleration": 4, "centre": 0.3}, "centre"),
    ("kspace_undersampling", {"pattern": "radial"}, "pattern"),
    ("kspace_undersampling", {"encoding": "slices"}, "encoding"),
    ("kspace_undersampling", {"sensitivities": ((1.0, 0.0),)}, "sensitivities"),
    ("kspace_undersampling", {"sensitivities": ((((1.0, math.nan),),),)}, "sensitivities"),
    ("kspace_undersampling", {"sensitivities": ((((1.0, 0.0),),), (((1.0, 0.0),) * 2,))}, "sensitivities"),
    ("tomography", {"views": 0}, "views"),
    ("tomography", {"geometry": "cone"}, "geometry"),
    ("tomography", {"geometry": "fan", "distance": 1.0}, "distance"),
    ("tomography_noise", {"photons": 0.5}, "photons"),
    ("tomography_noise", {"attenuation": 0.0}, "attenuation"),
    ("gaussian_blur", {"sigma": 0}, "sigma"),
    ("gaussian_blur", {"sigma": math.nan}, "sigma"),
    ("gaussian_blur", {"sigma": 1.0, "size": 4}, "size"),
    ("anisotropic_gaussian_blur", {"sigma_x": 1.0, "sigma_y": -1.0}, "sigma_y"),
    ("anisotropic_gaussian_blur", {"sigma_x": 1.0, "sigma_y": 1.0, "border": "zero"}, "border"),
    ("generalised_gaussian_blur", {"sigma_x": 1.0, "sigma_y": 1.0, "beta": 0.0}, "beta"),
    ("plateau_blur", {"sigma_x": 1.0, "sigma_y": 1.0, "angle": math.inf}, "angle"),
    ("sinc", {"cutoff": 4.0}, "cutoff"),
    ("defocus", {"radius": "3"}, "radius"),
    ("motion_blur", {"length": 0.5}, "length"),
    ("motion_blur", {"exposure": 0.0}, "exposure"),
    ("kernel_blur", {"values": ((1.0, 2.0), (3.0, 4.0))}, "values"),
    ("kernel_blur", {"values": ((1.0, 2.0, 3.0),)}, "values"),
    ("kernel_blur", {"values": ((0.0,),)}, "values"),
    ("kernel_blur", {"values": 3}, "values"),
    ("kernel_blur", {"values": (1.0, 2.0, 3.0)}, "values"),
    ("kernel_blur", {"values": (("1",),)}, "values"),
    ("gaussian_noise", {"sigma": -1}, "sigma"),
    ("gaussian_noise", {"sigma": 256}, "sigma"),
    ("gaussian_noise", {"sigma": 25, "grey": "yes"}, "grey"),
    ("poisson_noise", {"photons": 0}, "photons"),
    ("poisson_gaussian_noise", {"gain": 0.0, "sigma": 1.0}, "gain"),
    ("speckle", {"looks": 0}, "looks"),
    ("speckle", {"looks": 1, "domain": "phase"}, "domain"),
    ("salt_and_pepper", {"share": 1.1}, "share"),
    ("rician_noise", {"sigma": None}, "sigma"),
    ("stripes", {"direction": "diagonal"}, "direction"),
    ("stripes", {"detectors": 1.5}, "detectors"),
    ("haze", {"density": -1}, "density"),
    ("haze", {"depth": "deep"}, "depth"),
    ("jpeg", {"quality": 0}, "quality"),
    ("jpeg", {"quality": 10, "subsampling": "4:1:1"}, "subsampling"),
    ("jpeg2000", {"ratio": 0.5}, "ratio"),
    ("differentiable_jpeg", {"quality": 101}, "quality"),
    ("mask", {"share": 1.0}, "share"),
    ("mask", {"shape": "stars"}, "shape"),
    ("box_mask", {"side": 1.0}, "side"),
    ("irregular_mask", {"thickness": "fat"}, "thickness"),
    ("scan_line_gaps", {"period": 1}, "period"),
    ("burst", {"frames": 1}, "frames"),
    ("panchromatic", {"spread": 1.5}, "spread"),
    ("clip", {"exposure": 1.5}, "exposure"),
    ("dead_columns", {"share": 0.95}, "share"),
    ("clouds", {"share": -0.1}, "share"),
    ("bilinear", {"scale": -2}, "scale"),
    ("resize", {"height": 0, "width": 4}, "height"),
    ("resize", {"height": 4, "width": 4, "kernel": "cubic"}, "kernel"),
    ("real_esrgan", {"scale": 16}, "scale"),
    ("bsrgan", {"scale": 0}, "scale"),
    ("correlated_noise", {"sigma": 300}, "sigma"),
    ("lanczos", {"scale": "4"}, "scale"),
    ("area", {"scale": 100}, "scale"),
    ("nearest", {"scale": None}, "scale"),
]


def build(name: str, parameters: dict) -> Operator:
    return OPERATORS[name](**parameters)


def test_every_operator_has_an_example_and_a_refusal():
    assert {name for name, _ in EXAMPLES} == set(OPERATORS)
    assert {name for name, _, _ in REFUSED} == set(OPERATORS)


@pytest.mark.parametrize(("name", "parameters"), EXAMPLES, ids=lambda value: str(value)[:60])
def test_contract(name: str, parameters: dict):
    check_operator(build(name, parameters))


@pytest.mark.parametrize(("name", "parameters", "field"), REFUSED, ids=lambda value: str(value)[:60])
def test_wrong_parameters_are_named(name: str, parameters: dict, field: str):
    with pytest.raises(ValueError, match=rf"^{name}: {field} "):
        build(name, parameters)


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_parameters_are_documented_in_fields_only(name: str):
    """What a job can set is what the dataclass lists, as plain values that JSON can hold."""
    operator = next(build(each, parameters) for each, parameters in EXAMPLES if each == name)
    for field in dataclasses.fields(operator):
        assert isinstance(getattr(operator, field.name), int | float | str | tuple | bool | None)


def test_linear_operators_are_linear():
    for name, parameters in EXAMPLES:
        operator = build(name, parameters)
        if not isinstance(operator, LinearOperator) or parameters.get("rounding", "none") != "none":
            continue
        x, y = (random_image(1, 3, 32, 32, dtype=torch.float64, seed=seed) for seed in (1, 2))
        together = operator(2 * x - 3 * y, seeded())
        apart = 2 * operator(x, seeded()) - 3 * operator(y, seeded())
        torch.testing.assert_close(together, apart, rtol=0, atol=1e-12)


def test_values_per_band_must_fit_the_channels():
    image_BCHW = random_image(1, 3, 16, 16)
    with pytest.raises(ValueError, match="mtf: mtf holds 2 values but the image has 3 channels"):
        build("mtf", {"scale": 2, "mtf": (0.2, 0.3)})(image_BCHW, seeded())
    with pytest.raises(ValueError, match="poisson_gaussian_noise: gain holds 2 values"):
        build("poisson_gaussian_noise", {"gain": (0.1, 0.2), "sigma": 1.0})(image_BCHW, seeded())


def test_kernel_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match=r"gaussian_blur: the kernel has 41 x 41 pixels.*got 40 x 64"):
        build("gaussian_blur", {"sigma": 5})(random_image(1, 1, 40, 64), seeded())
    with pytest.raises(ValueError, match=r"sinc: the kernel has 21 x 21 pixels.*got 20 x 20"):
        build("sinc", {"cutoff": 1.0})(random_image(1, 1, 20, 20), seeded())


def test_sizes_that_are_no_multiple_name_the_crop():
    with pytest.raises(ValueError, match=r"multiples of scale 4, got 510 x 33; crop to 508 x 32"):
        build("bicubic", {"scale": 4})(random_image(1, 1, 510, 33), seeded())
