"""What numbers are which colours, where no ICC profile says so: in code points, or as primaries and a curve.

Code points: ITU-T H.273 (07/2024), tables 2 and 3. PNG's chunks: PNG third edition, sections 11.3.2.1 to
11.3.2.6. TIFF's tags: TIFF 6.0, section 20.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.formats.base import ICC_PROFILE
from pipeline.formats.icc import grey_profile, rgb_profile

COLOUR = "colour"
"""Metadata entry: a ``Colour``; absent where the file says nothing, or says sRGB, which is taken anyway."""

Curve = tuple[float, float, float, float, float]
"""g, a, b, c, d of ``(a v + b) ** g`` from ``d`` on and ``c v`` below, v and the result 0..1."""
Primaries = tuple[float, float, float, float, float, float, float, float]
"""CIE 1931 x and y of white, red, green and blue."""

_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
_PRIMARIES: dict[int, Primaries] = {
    1: (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06),
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
"""BT.709, BT.470 M, BT.470 BG, BT.601, SMPTE 240M, film, BT.2020, DCI P3, Display P3, EBU 3213."""
_SRGB: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709: Curve = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_CURVES: dict[int, Curve] = {
    **dict.fromkeys((1, 6, 14, 15), _BT709),
    4: (2.2, 1.0, 0.0, 0.0, 0.0),
    5: (2.8, 1.0, 0.0, 0.0, 0.0),
    8: (1.0, 1.0, 0.0, 0.0, 0.0),
    13: _SRGB,
}
"""Curves to light. PQ (16) and HLG (18) have none that ends at the white of a screen."""
_UNSPECIFIED, _PLAIN, _LARGEST = 2, (1, 13), 255


@dataclass(frozen=True)
class Colour:
    """Which colours the numbers of an image are."""

    code_points: tuple[int, int] | None
    """Primaries and transfer characteristics of H.273, where the file says it so."""
    primaries: Primaries | None
    """``None`` where the code point is none that we know."""
    curve: Curve | None
    """``None`` where no profile of 0..1 can say it: high dynamic range, or unknown."""

    @property
    def name(self) -> str:
        """For messages."""
        if self.code_points:
            return "primaries {} and transfer {} of ITU-T H.273".format(*self.code_points)
        return "primaries and curve"


def of_code_points(primaries: int, transfer: int) -> Colour | None:
    """``None`` for what is unspecified, and for sRGB."""
    if (
        _UNSPECIFIED in (primaries, transfer)
        or max(primaries, transfer) > _LARGEST
        or (primaries, transfer) == _PLAIN
    ):
        return None
    return Colour((primaries, transfer), _PRIMARIES.get(primaries), _CURVES.get(transfer))


def of_gamma(exponent: float | None, primaries: Primaries | None) -> Colour | None:
    """Of PNG's gAMA (the exponent to light, 2.2 and not 0.45455) and cHRM, each perhaps missing.

    ``None`` where it is sRGB within what the two chunks can say.
    """
    is_srgb = exponent is None or abs(1 / exponent - 0.45455) < 0.0005
    plain = _PRIMARIES[1]
    near = primaries is None or all(abs(a - b) < 0.002 for a, b in zip(primaries, plain, strict=True))
    if is_srgb and near:
        return None
    curve = _SRGB if exponent is None else (exponent, 1.0, 0.0, 0.0, 0.0)
    return Colour(None, primaries or plain, curve)


def with_profile_of_colour(entries: Mapping[str, Any], channels: int) -> Mapping[str, Any]:
    """The entries with an ICC profile that says what ``COLOUR`` does, where they have none of their own."""
    profile = None if ICC_PROFILE in entries else _profile(entries.get(COLOUR), channels)
    return entries if profile is None else {**entries, ICC_PROFILE: profile}


def unsaid_colour(entries: Mapping[str, Any], *, has_code_points: bool) -> str | None:
    """The name of a description of colours that neither an ICC profile can tell nor, in formats that have
    them, code points; ``None`` where nothing is lost."""
    colour = entries.get(COLOUR)
    if not isinstance(colour, Colour) or ICC_PROFILE in entries or (colour.curve and colour.primaries):
        return None
    return None if has_code_points and colour.code_points else colour.name


def _profile(colour: Colour | None, channels: int) -> bytes | None:
    if colour is None or colour.curve is None or colour.primaries is None:
        return None
    if channels == 1:
        return grey_profile(colour.primaries[:2], colour.curve)
    return rgb_profile(colour.primaries, colour.curve) if channels == 3 else None
