"""What a job says of how its images came to be: holes, what blurred them, and a sharper image beside them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from pipeline.jobs.frozen import Frozen, is_written
from pipeline.jobs.key_rules import SEALED, check_template
from pipeline.jobs.operators import OperatorSpec

OWN = ("nodata", "alpha")
DETECTED = ("scan_lines", "dead_columns", "dust")
ESTIMATED = ("blind", "blind_defocus", "blind_motion")

_FILE = re.compile(r"[^/\\]\.[A-Za-z0-9]{1,5}$")
_OPERATOR = re.compile(r"[a-z][a-z0-9_]*(:[a-z_0-9]+=[^,=]+(,[a-z_0-9]+=[^,=]+)*)?")


class Place(Frozen):
    """One file for all images, or a folder with one for each of them."""

    file: str | None = None
    """One file for every image: any fsspec URL, or a path."""
    uri: str | None = None
    """A folder with a file for each image."""
    match: str | None = None
    """A regular expression for the whole key of an image, with named groups: ``(?P<id>.+)\\.jpg``. Without
    it the file has the key of the image, whatever its extension."""
    key: str | None = None
    """The key of the file in ``uri``, made of those groups: ``{id}_mask.png``."""
    profile: str | None = None
    """Named profile of the store's credentials file, for ``s3://``; ``None``: that of the images."""

    @property
    def addresses(self) -> dict[str, str]:
        """Field -> address or rule, of those that are given."""
        names = ("file", "uri", "match", "key")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        if (self.match is None) != (self.key is None):
            raise ValueError('match, key: go together: match = "(?P<id>.+)\\\\.jpg", key = "{id}_mask.png"')
        if self.match is not None and self.uri is None:
            raise ValueError("match: needs uri, the folder that the rule leads into")
        if self.match is not None and self.key is not None:
            check_template("key", self.key, self.match)
        return self

    def _check_profile(self, info: ValidationInfo) -> None:
        """``ValueError`` where there is no store that it could be of."""
        if self.profile is not None and self.file is None and self.uri is None and not is_written(info):
            raise ValueError("profile: has no effect without file or uri; leave it out")


class MaskSpec(Place):
    """Which pixels of an image are holes: ``file``, ``uri``, ``own`` or ``detect``, one of them."""

    own: Literal["nodata", "alpha"] | None = None
    """nodata: where the file says that there is none. alpha: where it is transparent."""
    detect: tuple[Literal["scan_lines", "dead_columns", "dust"], ...] = ()
    """Found in each image: rows or columns that do not belong between their neighbours; specks, hairs and
    scratches that are lighter or darker than all around."""
    holes: Literal["black", "white"] = "black"
    """Which pixels of a mask file are holes: those that are 0, or those that are not."""

    @model_validator(mode="after")
    def _one_origin(self, info: ValidationInfo) -> Self:
        _one_of(file=self.file, uri=self.uri, own=self.own, detect=self.detect)
        self._check_profile(info)
        is_of_files = self.file is not None or self.uri is not None
        if self.holes != "black" and not is_of_files and not is_written(info):
            raise ValueError(
                f"holes: is for masks of files, has no effect on {self.own or 'detect'}; leave it out"
            )
        return self


class BlurSpec(Place):
    """What blurred an image: ``file``, ``uri``, ``chain`` or ``estimate``, one of them."""

    chain: tuple[OperatorSpec, ...] = ()
    """Operators with fixed parameters: ``[{ op = "mtf", scale = 1, mtf = 0.25 }]``."""
    estimate: Literal["blind", "blind_defocus", "blind_motion"] | None = None
    """Found in each image; one that does not tell its blur for sure is left as it is."""
    border: Literal["symmetric", "circular"] = "symmetric"
    """What lies beyond the border of images that a kernel blurred: their mirror image, or they again."""

    @model_validator(mode="after")
    def _one_origin(self, info: ValidationInfo) -> Self:
        _one_of(file=self.file, uri=self.uri, chain=self.chain, estimate=self.estimate)
        self._check_profile(info)
        if self.chain and self.border != "symmetric" and not is_written(info):
            raise ValueError(
                "border: is for kernels; operators of a chain have borders of their own; leave it out"
            )
        return self


class GuideSpec(Place):
    """A sharper image of the same scene: ``file`` or ``uri``, or else ``bands`` of the image itself."""

    bands: tuple[Annotated[int, Field(ge=1, le=65_535)], ...] = ()
    """Bands of the guide, counted from 1; none: all. Without ``file`` and ``uri`` of the image, which is then
    restored without them."""

    @model_validator(mode="after")
    def _one_origin(self, info: ValidationInfo) -> Self:
        if self.file is not None or self.uri is not None:
            _one_of(file=self.file, uri=self.uri)
        elif not self.bands:
            raise ValueError("give file, uri or bands")
        if len(set(self.bands)) < len(self.bands):
            raise ValueError(f"bands: one is there twice, got {list(self.bands)}")
        self._check_profile(info)
        return self

    @property
    def is_own(self) -> bool:
        """Whether it is bands of the image itself."""
        return self.file is None and self.uri is None


def _one_of(**origins: object) -> None:
    given = [name for name, value in origins.items() if value]
    if len(given) != 1:
        raise ValueError(f"give one of {', '.join(origins)}; got {' and '.join(given) or 'none'}")


def mask_fields(told: str) -> dict[str, Any]:
    """The fields of a mask that is told in one word, by several detectors, or by its address."""
    if told in OWN:
        return {"own": told}
    words = told.split(",")
    return {"detect": words} if {*words} <= {*DETECTED} else _placed(told)


def _mask(value: Any) -> Any:
    return mask_fields(value) if isinstance(value, str) else value


def _blur(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return {"chain": value}
    if not isinstance(value, str):
        return value
    if value in ESTIMATED:
        return {"estimate": value}
    return {"chain": [_operator(value)]} if _OPERATOR.fullmatch(value) and ":" in value else _placed(value)


def guide_fields(told: str) -> dict[str, Any]:
    """The fields of a guide that is told by its address, or by numbers of bands: ``4,8``."""
    if re.fullmatch(r"\d+(,\d+)*", told):
        return {"bands": [int(each) for each in told.split(",")]}
    return _placed(told)


def _guide(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return {"bands": value}
    return guide_fields(value) if isinstance(value, str) else value


def _placed(address: str) -> dict[str, str]:
    return {"file" if _FILE.search(address) and not address.startswith(SEALED) else "uri": address}


def _operator(text: str) -> dict[str, Any]:
    """``defocus:radius=3`` as a job writes it."""
    name, _, rest = text.partition(":")
    pairs = (pair.split("=") for pair in rest.split(","))
    return {"op": name} | {parameter: _number(value) for parameter, value in pairs}


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


Mask = Annotated[MaskSpec, BeforeValidator(_mask, json_schema_input_type=str | MaskSpec)]
Blur = Annotated[
    BlurSpec, BeforeValidator(_blur, json_schema_input_type=str | tuple[OperatorSpec, ...] | BlurSpec)
]
Guide = Annotated[
    GuideSpec, BeforeValidator(_guide, json_schema_input_type=str | tuple[int, ...] | GuideSpec)
]
