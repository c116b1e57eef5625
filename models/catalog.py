"""Every restorer by its name, and restorers from a solver and its parameters."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from models.card import Card
from models.image_generator import ImageGenerator
from models.names import is_address, unknown
from models.plugins import Parts, accept_class
from models.restorer import Restorer
from models.solvers.adapted_generative_prior import AdaptedGenerativePrior
from models.solvers.biharmonic import BiharmonicInpainting
from models.solvers.bilateral import Bilateral
from models.solvers.bm3d import BlockMatching3D
from models.solvers.consistent import Consistent
from models.solvers.despeckle_bm3d import DespeckleBm3d
from models.solvers.exemplar_inpainting import ExemplarInpainting
from models.solvers.fast_marching_inpainting import FastMarchingInpainting
from models.solvers.fourier_accumulation import FourierAccumulation
from models.solvers.frame_by_frame import FrameByFrame
from models.solvers.generative_prior import GenerativePrior
from models.solvers.gsa import GramSchmidtAdaptive
from models.solvers.guided_filter import GuidedFilter
from models.solvers.identity import Identity
from models.solvers.interpolation import Interpolation
from models.solvers.joint_total_variation import JointTotalVariation
from models.solvers.lee import Lee
from models.solvers.linear_light import LinearLight
from models.solvers.median import Median
from models.solvers.mtf_glp import MtfGlp
from models.solvers.multi_frame_map import MultiFrameMap
from models.solvers.non_local_means import NonLocalMeans
from models.solvers.per_band import PerBand
from models.solvers.plug_and_play import PlugAndPlay
from models.solvers.regularisation_by_denoising import RegularisationByDenoising
from models.solvers.richardson_lucy import RichardsonLucy
from models.solvers.self_ensemble import SelfEnsemble
from models.solvers.shift_and_add import ShiftAndAdd
from models.solvers.solver import Solver
from models.solvers.temporal_median import TemporalMedian
from models.solvers.temporal_pca import TemporalPca
from models.solvers.tikhonov import Tikhonov
from models.solvers.total_variation import TotalVariation
from models.solvers.total_variation_deblurring import TotalVariationDeblurring
from models.solvers.total_variation_inpainting import TotalVariationInpainting
from models.solvers.unsupervised_wiener import UnsupervisedWiener
from models.solvers.wavelet_shrinkage import WaveletShrinkage
from models.solvers.wiener import Wiener
from models.weights import SHIPPED, build_part, build_restorer, load_weights, shipped_path
from models.weights.precisions import safe_precisions
from models.weights.released import RELEASED, build_released

LOG = logging.getLogger(__name__)

Part = Restorer | ImageGenerator
"""What a solver may be built around."""

_SOLVERS: dict[str, type[Solver]] = {
    each.name: each
    for each in (
        Identity, Interpolation,
        Wiener, UnsupervisedWiener, RichardsonLucy, Tikhonov, TotalVariationDeblurring,
        TotalVariation, WaveletShrinkage, NonLocalMeans, BlockMatching3D, Bilateral, Median,
        DespeckleBm3d, Lee,
        TemporalMedian, TemporalPca, ShiftAndAdd, MultiFrameMap, FourierAccumulation,
        GuidedFilter, GramSchmidtAdaptive, MtfGlp, JointTotalVariation,
        TotalVariationInpainting, BiharmonicInpainting, FastMarchingInpainting, ExemplarInpainting,
        PlugAndPlay, RegularisationByDenoising, GenerativePrior, AdaptedGenerativePrior,
        SelfEnsemble, PerBand, FrameByFrame, LinearLight, Consistent,
    )
}  # fmt: skip

SOLVERS: Parts[type[Solver]] = Parts("solvers", _SOLVERS, accept_class(Solver))
"""Solvers by their name in a job."""


def read_part(path: str) -> Part:
    """The restorer or generator in a file of this project's weights; ``ValueError`` where it is neither."""
    try:
        return build_part(*load_weights(Path(path)))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None


def build_solver(solver: str, fetch: Callable[[str], Part] = read_part, /, **parameters: Any) -> Restorer:
    """The restorer of a job's ``{ name = "tv", solver = "total_variation", weight = 0.08 }``.

    A parameter that is itself a restorer or a generator (the ``denoiser`` of plug-and-play) may be given
    by its name in the catalog, or by the address of its weights, which ``fetch`` reads. Raises
    ``ValueError`` naming the unknown solver or parameter, or the value and what is allowed.
    """
    return _solver(solver, solver, fetch, **parameters)


def build(name: str) -> Restorer:
    """A new restorer of the catalog; ``ValueError`` with the nearest name for an unknown one."""
    if name in RELEASED and name not in RESTORERS:
        return build_released(name)
    if name not in RESTORERS:
        raise ValueError(unknown("restorer", name, {*RESTORERS, *RELEASED}))
    return RESTORERS.named(name)()


def find_part(name: str, fetch: Callable[[str], Part] = read_part) -> Part:
    """What a solver is built around: of the catalog, shipped, or in the file that ``fetch`` reads.

    Raises ``ValueError`` with the nearest name for what is neither a name nor the address of weights.
    """
    if name in RESTORERS or name in RELEASED:
        return build(name)
    if name in SHIPPED:
        return build_part(*load_weights(shipped_path(name)))
    if is_address(name):
        return fetch(name)
    raise ValueError(unknown("restorer or generator", name, {*RESTORERS, *SHIPPED}))


def describe() -> list[Card]:
    """The cards of our own restorers, in the catalog's order."""
    return [build(name).card for name in RESTORERS.built_in]


def describe_others() -> list[Card]:
    """The cards of released restorers that are installed, and of plug-ins.

    One that cannot be built is left out with a warning.
    """
    cards = [build(name).card for name, released in RELEASED.items() if released.is_installed()]
    for name in RESTORERS:
        if name not in RESTORERS.built_in:
            try:
                cards.append(dataclasses.replace(build(name).card, name=name))
            except Exception as error:  # the code of others fails in its own way
                LOG.warning("%s of %s cannot be built: %s", name, RESTORERS.origin(name), error)
    return cards


def identity(restorer: Restorer) -> str:
    """SHA-256, 64 hex digits: of the weights' file, or of the solver with its version and parameters.

    The name is no part of it: two names for the same work give the same pixels.
    """
    model = restorer.model
    if not isinstance(model, Solver):
        assert restorer.card.weights_sha256, f"{restorer.card.name} has weights without a digest"
        return restorer.card.weights_sha256
    parameters = {
        key: _identity_of_part(value) if isinstance(value, Part) else value
        for key, value in model.parameters().items()
    }
    canonical = {"solver": model.name, "version": model.version, "parameters": parameters}
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()


def _identity_of_part(part: Part) -> str:
    return identity(part) if isinstance(part, Restorer) else part.card.weights_sha256


def _solver(name: str, solver: str, fetch: Callable[[str], Part], /, **parameters: Any) -> Restorer:
    if solver not in SOLVERS:
        raise ValueError(unknown("solver", solver, SOLVERS))
    kind = SOLVERS.named(solver)
    known = {each.name: each for each in dataclasses.fields(kind)}
    for parameter, value in parameters.items():
        if parameter not in known:
            raise ValueError(f"{solver}: {unknown('parameter', parameter, known)}")
        if known[parameter].type in ("Restorer", "ImageGenerator") and isinstance(value, str):
            parameters[parameter] = find_part(value, fetch)
    if missing := [each.name for each in known.values() if _required(each) and each.name not in parameters]:
        raise ValueError(
            f"{solver}: give {' and '.join(missing)}, a name of the catalog or a file of weights"
        )
    model = kind(**parameters)
    card = dataclasses.replace(
        model.card(name),
        architecture=solver,
        arguments={
            key: value.card.name if isinstance(value, Part) else value
            for key, value in model.parameters().items()
        },
    )
    return Restorer(card, model)


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING


def _shipped(name: str) -> Restorer:
    card, state = load_weights(shipped_path(name))
    card = dataclasses.replace(card, name=name, precisions=safe_precisions(name))
    return build_restorer(card, state)


def _restorer(name: str, solver: str, **parameters: Any) -> tuple[str, Callable[[], Restorer]]:
    return name, partial(_solver, name, solver, read_part, **parameters)


_RESTORERS: dict[str, Callable[[], Restorer]] = dict(
    [
        _restorer("identity", "identity"),
        _restorer("bicubic", "interpolation"),
        _restorer("bicubic-x2", "interpolation", scale=2),
        _restorer("bicubic-x3", "interpolation", scale=3),
        _restorer("bicubic-x4", "interpolation", scale=4),
        _restorer("lanczos", "interpolation", kernel="lanczos"),
        _restorer("lanczos-x2", "interpolation", kernel="lanczos", scale=2),
        _restorer("lanczos-x3", "interpolation", kernel="lanczos", scale=3),
        _restorer("lanczos-x4", "interpolation", kernel="lanczos", scale=4),
        _restorer("wiener", "wiener"),
        _restorer("unsupervised-wiener", "unsupervised_wiener"),
        _restorer("richardson-lucy", "richardson_lucy"),
        _restorer("richardson-lucy-tv", "richardson_lucy", total_variation=0.002, stop=0.9),
        _restorer("tikhonov", "tikhonov"),
        _restorer("total-variation-deblurring", "total_variation_deblurring"),
        _restorer("total-variation", "total_variation"),
        _restorer("wavelet", "wavelet_shrinkage"),
        _restorer("non-local-means", "non_local_means"),
        _restorer("bm3d", "bm3d"),
        _restorer("bilateral", "bilateral"),
        _restorer("median", "median"),
        _restorer("despeckle-bm3d", "despeckle_bm3d", looks=4),
        _restorer("lee", "lee", looks=4),
        _restorer("refined-lee", "lee", looks=4, windows="edge_aligned"),
        _restorer("temporal-median", "temporal_median"),
        _restorer("temporal-pca", "temporal_pca"),
        _restorer("shift-and-add", "shift_and_add"),
        _restorer("shift-and-add-x3", "shift_and_add", scale=3),
        _restorer("fourier-accumulation", "fourier_accumulation"),
        _restorer("multi-frame-x3", "multi_frame_map", scale=3),
        _restorer("guided-filter", "guided_filter"),
        _restorer("gsa", "gsa"),
        _restorer("mtf-glp", "mtf_glp"),
        _restorer("joint-total-variation", "joint_total_variation"),
        _restorer("total-variation-inpainting", "total_variation_inpainting"),
        _restorer("biharmonic-inpainting", "biharmonic_inpainting"),
        _restorer("fast-marching-inpainting", "fast_marching_inpainting"),
        _restorer("exemplar-inpainting", "exemplar_inpainting"),
        ("ffdnet-colour", partial(_shipped, "ffdnet-colour")),
        ("ffdnet-grey", partial(_shipped, "ffdnet-grey")),
        ("ffdnet-grey-quantiles", partial(_shipped, "ffdnet-grey-quantiles")),
        ("srvgg-x2", partial(_shipped, "srvgg-x2")),
        ("srvgg-x4", partial(_shipped, "srvgg-x4")),
        ("srgan-x4", partial(_shipped, "srgan-x4")),
        ("nafnet-jpeg", partial(_shipped, "nafnet-jpeg")),
        ("nafnet-motion", partial(_shipped, "nafnet-motion")),
        ("nafnet-motion-gan", partial(_shipped, "nafnet-motion-gan")),
        ("pannet-x2", partial(_shipped, "pannet-x2")),
        ("frame-fusion-x3", partial(_shipped, "frame-fusion-x3")),
        ("basicvsr-clip", partial(_shipped, "basicvsr-clip")),
        ("despeckle", partial(_shipped, "despeckle")),
        ("inpaint-gated", partial(_shipped, "inpaint-gated")),
        _restorer("ffdnet-colour-per-band", "per_band", restorer="ffdnet-colour"),
        _restorer("ffdnet-grey-per-band", "per_band", restorer="ffdnet-grey"),
        _restorer("ffdnet-colour-x8", "self_ensemble", restorer="ffdnet-colour"),
        _restorer("srvgg-x2-consistent", "consistent", restorer="srvgg-x2", degradation="bicubic"),
        _restorer("srvgg-x4-consistent", "consistent", restorer="srvgg-x4", degradation="bicubic"),
        _restorer("srgan-x4-consistent", "consistent", restorer="srgan-x4", degradation="bicubic"),
        _restorer("plug-and-play", "plug_and_play", denoiser="ffdnet-colour"),
        _restorer("plug-and-play-per-band", "plug_and_play", denoiser="ffdnet-grey-per-band"),
        _restorer("plug-and-play-bm3d", "plug_and_play", denoiser="bm3d"),
        _restorer("regularisation-by-denoising", "regularisation_by_denoising", denoiser="ffdnet-colour"),
    ]
)


def _accepted(name: str, value: Any) -> Callable[[], Restorer]:
    if not callable(value):
        raise TypeError(f"it is {value!r}, not a function that gives a Restorer")
    return partial(_built, name, value)


def _built(name: str, build: Callable[[], Any]) -> Restorer:
    restorer = build()
    if not isinstance(restorer, Restorer):
        raise ValueError(f'"{name}" gives {restorer!r}, not a Restorer')
    return restorer


RESTORERS: Parts[Callable[[], Restorer]] = Parts("restorers", _RESTORERS, _accepted, by_address=False)
"""Name -> how to build it. Nothing is built, and scikit-image is not imported, before a name is asked for."""
