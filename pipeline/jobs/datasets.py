"""What a job says of a collection of images."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from pipeline.jobs.conditions import Blur, Guide, Mask
from pipeline.jobs.frames import PAGES, Group, is_of_pages
from pipeline.jobs.frozen import Frozen as Frozen
from pipeline.jobs.frozen import is_written
from pipeline.jobs.key_rules import SEALED as SEALED
from pipeline.jobs.key_rules import check_template
from pipeline.jobs.stores import ManifestStore, StoreSpec, is_manifest

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Name = Annotated[str, Field(pattern=NAME, max_length=80)]


class Radiometry(Frozen):
    """Which physical values the model sees as 0 and 1: reflectance 0 to 1, Hounsfield units -1000 to 2000."""

    low: float
    """Physical value that becomes 0."""
    high: float
    """Physical value that becomes 1. Values outside stay legal: clouds are brighter than 1."""
    scale: float | None = None
    """Physical value of one stored step; ``None``: as the file says; one that does not is refused."""
    offset: float = 0.0
    """Physical value of a stored 0; counts only beside ``scale``."""

    @model_validator(mode="after")
    def _in_order(self, info: ValidationInfo) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low must be less than high, got {self.low:g} and {self.high:g}")
        if self.offset and self.scale is None and not is_written(info):
            raise ValueError("offset: counts only beside scale; give both, or leave it out")
        if self.scale == 0:
            raise ValueError("scale must not be 0")
        return self


def _given(address: str) -> str:
    """An empty one would be the current folder."""
    if not address.strip():
        raise ValueError(
            'is empty, as a variable that is not set; give a path or URL, or "." for this folder'
        )
    return address


Address = Annotated[str, AfterValidator(_given)]
"""A path or any fsspec URL."""


class References(Frozen):
    """Where the true images of a collection are, and which of them belongs to which image."""

    uri: Address
    """A folder: any fsspec URL, or a path."""
    match: str | None = None
    """A regular expression for the whole key of an image, with named groups: ``(?P<id>.+)_blur\\.png``.
    Without it the reference has the key of the image, whatever its extension."""
    reference: str | None = None
    """The key of the reference, made of those groups: ``{id}_sharp.png``."""
    clear: str | None = None
    """The key of a mask beside the reference, as ``reference``: pixels count where it is not 0."""
    profile: str | None = None
    """Named profile of the store's credentials file, for ``s3://``; ``None``: that of the images."""

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        if self.match is None:
            for field in ("reference", "clear"):
                if getattr(self, field) is not None:
                    raise ValueError(f'{field}: needs match = "...", whose groups it is made of')
        elif self.reference is None:
            raise ValueError('match: needs reference = "...", the key that is made of its groups')
        else:
            check_template("reference", self.reference, self.match)
            check_template("clear", self.clear or "", self.match)
        return self


def placed(value: Any) -> Any:
    """An address alone stands for the references at it."""
    return {"uri": value} if isinstance(value, str) else value


class Dataset(Frozen):
    """A collection of images: a folder in a store, or what ``store`` says."""

    name: Name
    """Column ``dataset`` of the tables."""
    uri: Address
    """Any fsspec URL, or a path; never with credentials in it."""
    pattern: str = "*"
    """Which objects belong to it: a shell pattern on the name or the whole key, in upper or lower case;
    ``*.{jpg,jpeg}`` for either, ``/*.png`` for those in no folder below, ``/a/**`` for all below a."""
    profile: str | None = None
    """Named profile of the store's credentials file, for ``s3://``."""
    store: StoreSpec | None = None
    """How images are kept there: a name of ``restora list stores``, or a table of it and its options.
    ``None``: as the address says, else a folder with one object an image."""
    radiometry: Radiometry | None = None
    """Physical values of the model's range; ``None``: the range that the file's header gives."""
    references: (
        Annotated[References, BeforeValidator(placed, json_schema_input_type=str | References)] | None
    ) = None
    """The true images, for a benchmark of images as they were found: a folder with the same keys, or one
    with a rule from key to key. See docs/pairs.md."""
    carry: tuple[Name, ...] = ()
    """Columns of a manifest that the tables are to have too, as texts."""
    mask: Mask | None = None
    """Which pixels are holes, for restorers that fill them: ``nodata``, ``alpha``, ``scan_lines``,
    ``dead_columns``, ``dust``, a mask file, or a folder of masks. See docs/conditions.md."""
    operators: Blur | None = None
    """What blurred the images, for restorers that undo it: ``blind``, a kernel file, a folder of kernels, or
    a list of operators such as ``[{ op = "mtf", scale = 1, mtf = 0.25 }]``. See docs/conditions.md."""
    guide: Guide | None = None
    """A sharper image of the same scene, for restorers that go by one: a file, a folder with a rule from key
    to key, or numbers of bands of the images themselves: ``[2, 3, 4]``. See docs/guides.md."""
    group: Group | None = None
    """Which images are frames of one scene, for restorers that take several:
    ``"(?P<scene>.+)_(?P<t>\\d+)\\.tif"``. The first of them is restored. See docs/stacks.md."""
    private: bool | None = None
    """Whether names, folders and headers may identify someone: then nothing but restored objects shows
    them. ``None``: not declared, and medical images are refused."""
    series: Literal["stack", "together", "single"] = "stack"
    """DICOM series are restored whole or not at all. stack: CT and MR slices must also lie side by side.
    together: they need not, as in time series and localizers. single: every image for itself."""

    @model_validator(mode="before")
    @classmethod
    def _names_its_store(cls, fields: Any) -> Any:
        """A sealed address does not say any more what it is."""
        if isinstance(fields, dict) and fields.get("store") is None and is_manifest(str(fields.get("uri"))):
            return fields | {"store": {"name": "manifest"}}
        if isinstance(fields, dict) and fields.get("store") is None and is_of_pages(fields.get("group")):
            return fields | {"store": {"name": PAGES}}
        return fields

    @property
    def is_manifest(self) -> bool:
        """Whether a table says which images there are, and what belongs to them."""
        return isinstance(self.store, ManifestStore)

    @property
    def is_of_pages(self) -> bool:
        """Whether its files may hold several images, each a source."""
        return self.store is not None and self.store.name == PAGES

    @model_validator(mode="after")
    def _groups_objects_of_a_folder(self) -> Self:
        if self.group is None:
            return self
        if self.store is not None and self.store.name not in ("folder", "manifest", PAGES):
            raise ValueError(
                f"group: is for folders with an object an image and for manifests, not for {self.store.name}"
            )
        if self.group.listed and not self.is_manifest:
            raise ValueError("group.listed: only a manifest has a column group; give group.match")
        return self

    @model_validator(mode="after")
    def _sealed_is_private(self) -> Self:
        if self.private and self.carry:
            raise ValueError("carry: columns of a private dataset would be shown in the tables; leave it out")
        if self.uri.startswith(SEALED) and not self.private:
            raise ValueError("uri: a sealed address belongs to a private dataset; write private = true")
        return self
