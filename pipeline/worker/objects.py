"""What a unit stores: restored and degraded images, each an object with the record of how it came to be.

``encode`` takes a core, ``put`` waits for the store; each hands over what went wrong as columns of the row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.errors import ImageError
from pipeline.formats import FORMATS
from pipeline.hashing import sha256_hex
from pipeline.imaging.image import Image, Provenance
from pipeline.imaging.transfer import Download
from pipeline.jobs.job import FOUND, NO_DEGRADATION, NO_RESTORER
from pipeline.ledger.schema import Row
from pipeline.quarantine import StagedError, quarantine_columns
from pipeline.units import Source
from pipeline.version import code_version
from pipeline.worker.encoding import OutputEncoder


@dataclass(frozen=True)
class Pixels:
    """What is to be stored of one image x degradation x restorer."""

    restored: Image | None = None
    degraded: Image | None = None
    """With the first of its outcomes alone, whatever number of restorers follow."""
    uncertainty: Image | None = None
    """Half-widths of the restored image's intervals."""
    downloads: tuple[Download, ...] = ()
    """By which they come from the device."""

    def and_degraded(self, degraded: Image, download: Download) -> Pixels:
        """With the degraded image."""
        return replace(self, degraded=degraded, downloads=(*self.downloads, download))

    def and_uncertainty(self, widths: Image, download: Download) -> Pixels:
        """With the half-widths."""
        return replace(self, uncertainty=widths, downloads=(*self.downloads, download))

    def wait(self) -> None:
        """Until all are here."""
        for each in self.downloads:
            each.wait()

    @property
    def bytes(self) -> int:
        """That wait to be stored."""
        return sum(
            each.pixels_HWC.nbytes
            for each in (self.restored, self.degraded, self.uncertainty)
            if each is not None
        )


@dataclass(frozen=True)
class Made:
    """One image x degradation x restorer as it leaves the device: its row so far, and what to store."""

    source: Source
    source_sha256: str
    row: Row
    pixels: Pixels
    left_out: str | None = None
    """What it loses in the format that it is stored in."""


@dataclass(frozen=True)
class Encoded:
    """An object before it is stored."""

    source: Source
    key: str
    data: bytes
    sha256: str
    column: str
    """``output``, ``degraded`` or ``uncertainty``: what the row's columns begin with."""


class ObjectWriter:
    """Makes and stores the objects of a replica, on any thread."""

    def __init__(self, outputs: OutputEncoder) -> None:
        self._outputs, self.layout = outputs, outputs.layout
        self._digests = {built.name: built.sha256 for built in outputs.recipe.restorers}

    def encode_restored(self, made: Made) -> Encoded | Row:
        """The restored image as a file, or why there is none."""
        assert made.pixels.restored is not None
        combination = made.row["degradation"], made.row["restorer"]
        return self._encoded(made, made.pixels.restored, *combination)

    def encode_degraded(self, made: Made) -> Encoded | Row:
        """The degraded image as a file, or why there is none."""
        assert made.pixels.degraded is not None
        return self._encoded(made, made.pixels.degraded, made.row["degradation"], NO_RESTORER)

    def encode_uncertainty(self, made: Made) -> Encoded | Row:
        """The half-widths as a file, or why there is none."""
        assert made.pixels.uncertainty is not None
        try:
            made.pixels.wait()
            format = FORMATS[made.pixels.uncertainty.metadata.format]
            data = format.encode(made.pixels.uncertainty)
            key = self.layout.uncertainty(made.source, format.extensions)
            return Encoded(made.source, key, data, sha256_hex(data), "uncertainty")
        except ImageError as error:
            return quarantine_columns(error, "encode")
        except Exception as error:
            return quarantine_columns(StagedError.of_writing(error))

    def put(self, encoded: Encoded) -> Row:
        """Stores an object; the columns that say where, or what went wrong."""
        try:
            key = self.layout.outlet.put(encoded.source, encoded.key, encoded.data)
        except ImageError as error:
            return quarantine_columns(error, "encode")
        except Exception as error:
            return quarantine_columns(StagedError.of_writing(error))
        return {
            f"{encoded.column}_uri": key,
            f"{encoded.column}_sha256": encoded.sha256,
            f"{encoded.column}_bytes": len(encoded.data),
        }

    def _encoded(self, made: Made, image: Image, degradation: str, restorer: str) -> Encoded | Row:
        try:
            made.pixels.wait()
            data, extensions = self._outputs.encode(self._with_provenance(image, made, degradation, restorer))
            if restorer == NO_RESTORER:
                key, column = self.layout.degraded(made.source, degradation, extensions), "degraded"
            else:
                key, column = self.layout.restored(made.source, degradation, restorer, extensions), "output"
            return Encoded(made.source, key, data, sha256_hex(data), column)
        except ImageError as error:
            return quarantine_columns(error, "encode")
        except Exception as error:
            return quarantine_columns(StagedError.of_writing(error))

    def _with_provenance(self, image: Image, made: Made, degradation: str, restorer: str) -> Image:
        """For formats that can hold it."""
        provenance = Provenance(
            restorer="" if restorer == NO_RESTORER else restorer,
            restorer_sha256=self._digests.get(restorer, ""),
            recipe_id=self._outputs.recipe.recipe_id,
            source_sha256=made.source_sha256,
            code_version=code_version(),
            degradation="" if degradation in (NO_DEGRADATION, FOUND) else degradation,
        )
        return replace(image, metadata=replace(image.metadata, provenance=provenance))
