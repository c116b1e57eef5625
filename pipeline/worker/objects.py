"""What a unit stores: restored and degraded images, each an object with the record of how it came to be."""

from __future__ import annotations

import threading
from dataclasses import replace

from pipeline.hashing import sha256_hex
from pipeline.imaging.image import Image, Provenance
from pipeline.jobs.job import NO_DEGRADATION, NO_RESTORER
from pipeline.ledger.schema import Row
from pipeline.processing.cases import Case, Loaded, Outcome
from pipeline.version import code_version
from pipeline.worker.encoding import OutputEncoder


class ObjectWriter:
    """``write(outcome)`` for the outcomes of one unit, on any thread."""

    def __init__(self, encoder: OutputEncoder) -> None:
        self._encoder, self._layout = encoder, encoder.layout
        self._digests = {built.name: built.sha256 for built in encoder.recipe.restorers}
        self._degraded: dict[tuple[str, str], Row] = {}
        self._lock = threading.Lock()

    def write(self, outcome: Outcome) -> Row:
        """Stores what the job keeps of an outcome; the columns that say where. Raises as storing does."""
        row = Row()
        if outcome.case is not None and self._layout.keeps_degraded:
            row |= self._write_degraded(outcome.case, outcome.degradation)
            if self._layout.kind == "degrade":
                row |= {name.replace("degraded", "output"): value for name, value in row.items()}
        if outcome.restored is not None and self._layout.keeps_restored:
            row |= self._write_restored(outcome.restored, outcome)
        return row | {"message": self._encoder.left_out(outcome.loaded.image)} if row else row

    def _write_restored(self, restored: Image, outcome: Outcome) -> Row:
        source, folder = outcome.loaded.source, self._layout.folder
        made = outcome.degradation, outcome.restorer
        data, extensions = self._encoder.encode(self._with_provenance(restored, outcome.loaded, *made))
        key = self._layout.restored(source, *made, extensions)
        folder.put(key, data)
        return {
            "output_uri": key,
            "output_sha256": sha256_hex(data),
            "output_bytes": len(data),
        }

    def _write_degraded(self, case: Case, degradation: str) -> Row:
        """Stores a degraded image once, whatever number of restorers follow."""
        source, folder = case.loaded.source, self._layout.folder
        with self._lock:
            if (source.source_id, degradation) not in self._degraded:
                image = self._with_provenance(case.degraded_image(), case.loaded, degradation)
                data, extensions = self._encoder.encode(image)
                key = self._layout.degraded(source, degradation, extensions)
                folder.put(key, data)
                self._degraded[source.source_id, degradation] = {
                    "degraded_uri": key,
                    "degraded_sha256": sha256_hex(data),
                    "degraded_bytes": len(data),
                }
            return self._degraded[source.source_id, degradation]

    def _with_provenance(
        self, image: Image, loaded: Loaded, degradation: str, restorer: str = NO_RESTORER
    ) -> Image:
        """For formats that can hold it."""
        made = Provenance(
            restorer="" if restorer == NO_RESTORER else restorer,
            restorer_sha256=self._digests.get(restorer, ""),
            recipe_id=self._encoder.recipe.recipe_id,
            source_sha256=loaded.sha256,
            code_version=code_version(),
            degradation="" if degradation == NO_DEGRADATION else degradation,
        )
        return replace(image, metadata=replace(image.metadata, provenance=made))
