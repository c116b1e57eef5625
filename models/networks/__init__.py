"""The networks this project can build, by name, and how one becomes the model of a restorer.

Adding a network is its file, its line in ``NETWORKS``, and its line in the contract test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.contract import Condition, RestorerError
from models.networks.basicvsr import BasicVSR
from models.networks.dcgan import DCGANGenerator
from models.networks.deblurgan import DeblurGAN
from models.networks.deblurgan_v2 import DeblurGANv2
from models.networks.dncnn import DnCNN
from models.networks.drunet import DRUNet
from models.networks.edsr import EDSR
from models.networks.ffdnet import FFDNet
from models.networks.ffdnet_quantiles import FFDNetQuantiles
from models.networks.frame_fusion import FrameFusion
from models.networks.gated_unet import GatedUNet
from models.networks.lama import LaMa
from models.networks.msrresnet import MSRResNet
from models.networks.nafnet import NAFNet
from models.networks.pannet import PanNet
from models.networks.pix2pix_unet import Pix2PixUNet
from models.networks.progressive_gan import ProgressiveGenerator
from models.networks.restormer import Restormer
from models.networks.rrdbnet import RRDBNet
from models.networks.span import SPAN
from models.networks.srresnet import SRResNet
from models.networks.srvgg import SRVGG
from models.networks.swinir import SwinIR
from models.plugins import Parts, is_module_address
from models.registry import build_named

_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "basicvsr": BasicVSR,
    "deblurgan": DeblurGAN,
    "deblurgan_v2": DeblurGANv2,
    "dncnn": DnCNN,
    "drunet": DRUNet,
    "edsr": EDSR,
    "ffdnet": FFDNet,
    "ffdnet_quantiles": FFDNetQuantiles,
    "frame_fusion": FrameFusion,
    "gated_unet": GatedUNet,
    "lama": LaMa,
    "msrresnet": MSRResNet,
    "nafnet": NAFNet,
    "pannet": PanNet,
    "pix2pix_unet": Pix2PixUNet,
    "restormer": Restormer,
    "rrdbnet": RRDBNet,
    "span": SPAN,
    "srresnet": SRResNet,
    "srvgg": SRVGG,
    "swinir": SwinIR,
}


def _accepted(name: str, value: Any) -> Callable[..., nn.Module]:
    """A class of networks; of an installed package also a function that builds one."""
    is_class = isinstance(value, type) and issubclass(value, nn.Module)
    if not is_class and (is_module_address(name) or not callable(value)):
        raise TypeError(f"it is {value!r}, not a class that derives from torch.nn.Module")
    build: Callable[..., nn.Module] = value
    return build


NETWORKS: Parts[Callable[..., nn.Module]] = Parts("networks", _NETWORKS, _accepted)
"""Each takes keyword arguments, the ``arguments`` of a card. Its instances are called with an image and then
whatever their attribute ``conditions`` names, in that order (none, if they have no such attribute). They say
the radius of their receptive field in input pixels as ``halo`` (``None`` where every pixel can matter), and
as ``channels``, ``scale`` (1 if absent), ``multiple_of`` and ``minimum_size`` what a card calls by these
names: ``card_facts`` collects them. One with ``any_channels`` takes others than the ``channels`` it was
trained with. One with ``half_width``, called alike, says how far each pixel may be off, and gives both while
it is training; ``new_parts`` are prefixes of parameters that the weights which a training begins with may
lack."""

GENERATORS: Parts[Callable[..., nn.Module]] = Parts(
    "generators",
    {"dcgan": DCGANGenerator, "progressive": ProgressiveGenerator},
    _accepted,
    by_address=False,
)
"""Each takes keyword arguments. Its instances are called with latents BZ, whose length Z is their ``latent``,
and give square images of ``channels`` and ``image_size`` in [-1, 1]."""


def build_network(architecture: str, arguments: dict[str, Any]) -> nn.Module:
    """A network with its initial weights; ``ValueError`` naming an unknown network or argument."""
    return build_named("network", NETWORKS, architecture, arguments)


def build_generator(name: str, arguments: dict[str, Any]) -> nn.Module:
    """A generator with its initial weights; ``ValueError`` naming what is unknown or wrong."""
    if "code" in arguments:  # as cards of before spell it
        if "latent" in arguments:
            raise ValueError(f"generator {name!r}: code and latent are the same argument; give latent alone")
        arguments = {"latent" if each == "code" else each: value for each, value in arguments.items()}
    return build_named("generator", GENERATORS, name, arguments)


def card_facts(network: nn.Module) -> dict[str, Any]:
    """The fields of a card that the architecture decides: ``Card(name=..., **card_facts(network))``."""
    halo = getattr(network, "halo", None)
    return {
        "channels": None if getattr(network, "any_channels", False) else network.channels,
        "scale": getattr(network, "scale", 1),
        "multiple_of": getattr(network, "multiple_of", 1),
        "minimum_size": getattr(network, "minimum_size", 1),
        "halo": halo,
        "tile_exact": halo is not None,
        "needs": tuple(getattr(network, "conditions", ())),
    }


class NetworkModel(nn.Module):
    """A network behind the call of ``models.contract.RestorationModel``.

    Hands the network those parts of the condition that it names; the card names the same ones in
    ``needs``, and the restorer sees to it that they are there.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """The network's output, in the network's value range."""
        restored_BCHW: Tensor = self.network(degraded_BCHW, *self._given(degraded_BCHW, condition))
        return restored_BCHW

    def _given(self, degraded_BCHW: Tensor, condition: Condition) -> list[Tensor]:
        wanted: Sequence[str] = getattr(self.network, "conditions", ())
        return [CONDITIONS[name](degraded_BCHW, condition) for name in wanted]


def _noise_level(degraded_BCHW: Tensor, condition: Condition) -> Tensor:
    level_B = condition.noise_level_B
    if level_B is None:
        raise RestorerError("CONDITION_MISSING", "this network needs the noise level of the degradation")
    return level_B.to(degraded_BCHW).expand(len(degraded_BCHW))


def _mask(degraded_BCHW: Tensor, condition: Condition) -> Tensor:
    if condition.mask_B1HW is None:
        raise RestorerError("CONDITION_MISSING", "this network needs the mask of the degradation")
    return condition.mask_B1HW.to(degraded_BCHW)


def _guide(degraded_BCHW: Tensor, condition: Condition) -> Tensor:
    """As ``Restorer`` hands it over: one for each band."""
    if condition.guide_BPHW is None:
        raise RestorerError("CONDITION_MISSING", "this network needs a guide")
    return condition.guide_BPHW.to(degraded_BCHW)


def _frames(degraded_BCHW: Tensor, condition: Condition) -> Tensor:
    if condition.frames_BTCHW is None:
        raise RestorerError("CONDITION_MISSING", "this network needs the other frames of the scene")
    return condition.frames_BTCHW.to(degraded_BCHW)


def _place(degraded_BCHW: Tensor, condition: Condition) -> Tensor:
    """B: the same number for all of them."""
    return torch.full((len(degraded_BCHW),), condition.place)


CONDITIONS: dict[str, Callable[[Tensor, Condition], Tensor]] = {
    "noise_level": _noise_level,
    "mask": _mask,
    "guide": _guide,
    "frames": _frames,
    "place": _place,
}
"""How a network's ``conditions`` come out of the call's condition, on the image's device and dtype."""
