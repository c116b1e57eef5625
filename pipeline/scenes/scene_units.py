"""What a worker does with units of scenes: strips that commit on their own, and the assembly after the last.

Whoever commits the last strip assembles them, so that no unit ever waits for another; the plan names an
assembly only where it is all that is left. Two workers that finish at the same moment may both assemble: they
write the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.errors import ImageError, StorageError
from pipeline.ledger.attempts import Attempts
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.redaction import Redactor
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import Row
from pipeline.ledger.strips import StripLedger
from pipeline.processing import isolation
from pipeline.processing.finishing import finish
from pipeline.quarantine import quarantine_columns
from pipeline.scenes.assembly import Assembly
from pipeline.scenes.blocks import Blocks, named_by
from pipeline.scenes.strip_work import StripWork
from pipeline.units import Unit, make_unit

_PATIENCE = 4
"""A strip alone may take so many times as long as an image alone."""


@dataclass
class Scenes:
    """``scenes(unit)`` gives the rows of every image that this unit completed: the scene's, or none."""

    run: RunFolder
    strip: StripWork
    assembly: Assembly

    def __post_init__(self) -> None:
        self.ledger, self._folder = self.run.ledger, self.run.folder
        self._redactor = Redactor(self.run.job)
        self._strips = StripLedger(self._folder, self.run.recipe_id)
        self._attempts = Attempts(self._folder)

    def __call__(self, unit: Unit) -> list[Row]:
        """Does a strip, and assembles the scene where it was the last; commits both."""
        assert unit.strip is not None
        if not unit.strip.is_assembly:
            self._once(unit, self._strips)
            if not self._complete(unit):
                return []
        assembly = self._assembly_unit(unit)
        if not unit.strip.is_assembly and self.ledger.rows(assembly.unit_id) is not None:
            return []  # another worker was as fast, and counts it
        try:
            rows = self._once(assembly, self.ledger)
        except StorageError:
            if (found := self.ledger.rows(assembly.unit_id)) is not None:
                return (
                    found if unit.strip.is_assembly else []
                )  # another worker assembled it and removed the blocks
            raise
        Blocks(self._folder, assembly).delete()
        return rows

    def process(self, unit: Unit) -> list[Row]:
        """Everything but the commit: one row, of the strip or of the scene."""
        assert unit.strip is not None
        if not unit.strip.is_assembly:
            return [self.strip(unit)]
        return [self.assembly(unit, self._strip_rows(unit), self.strip.device)]

    def _once(self, unit: Unit, ledger: Ledger) -> list[Row]:
        if (rows := ledger.rows(unit.unit_id)) is not None:
            return rows
        with self._attempts.counted(unit.unit_id) as together:
            rows = self.process(unit) if together else self._apart(unit)
            if ledger is self.ledger:
                rows = finish(unit, rows, self.run.layout.outlet, self.assembly.opener.locator.locate)
            rows = [self._redactor.redact(unit.sources[0].dataset, row, ledger.schema) for row in rows]
            if (others := ledger.rows(unit.unit_id)) is not None:
                return others  # and the blocks may have gone while we read them
            ledger.commit(unit.unit_id, rows)
        return rows

    def _apart(self, unit: Unit) -> list[Row]:
        assert unit.strip is not None
        seconds = _PATIENCE * self.run.job.resources.image_seconds
        result = isolation.process(self.run, unit, seconds)
        if not isinstance(result, ImageError):
            return result
        row = self.assembly.base(unit) if unit.strip.is_assembly else self.strip.base(unit)
        return [row | quarantine_columns(result, "process")]

    def _assembly_unit(self, unit: Unit) -> Unit:
        assert unit.strip is not None
        return replace(
            make_unit(self.run.recipe_id, unit.attempt, list(unit.sources)), strip=unit.strip.assembly
        )

    def _strip_ids(self, unit: Unit) -> list[str]:
        assert unit.strip is not None
        scene = self._assembly_unit(unit).unit_id
        return [strip.unit_id(scene) for strip in unit.strip.strips]

    def _complete(self, unit: Unit) -> bool:
        # From below, where those lie that are done last: mostly one look is enough.
        ids = reversed(self._strip_ids(unit))
        return all(self._folder.exists(self._strips.key(each)) for each in ids)

    def _strip_rows(self, unit: Unit) -> list[Row]:
        """The strips' rows, from above. ``StorageError`` where one, or a block of it, is gone."""
        found = {each: self._strips.rows(each) for each in self._strip_ids(unit)}
        there = Blocks(self._folder, unit).stored()
        lost = [
            each for each, rows in found.items() if rows is None or not there.issuperset(named_by(rows[0]))
        ]
        for each in lost:
            self._folder.delete(self._strips.key(each))
        if lost:
            raise StorageError(
                f"{len(lost)} strips of {unit.sources[0].key} are gone from {self._folder.url}; "
                "run the same command again, and they will be done again"
            )
        return [row for rows in found.values() for row in rows or []]
