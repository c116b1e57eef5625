"""Where a run's objects are stored, beside its run folder.

benchmark   OUT/{ledger,plan,tables,report,attempts}, OUT/objects/<recipe>/<degradation>/<restorer>/...
restore     DEST/<key of the source>, run folder DEST/_restora/
degrade     as restore
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.doors import outlet_of
from pipeline.doors.outlet import Outlet
from pipeline.jobs.job import Job
from pipeline.storage.folder import Folder
from pipeline.storage.keys import RUN_FOLDER, safe_key, with_extension
from pipeline.units import Source


@dataclass(frozen=True)
class Layout:
    """Keys of a run's objects: deterministic, so that doing a unit again rewrites the same ones."""

    folder: Folder
    kind: str
    save: str
    output_format: str | None
    """Format of every saved image; ``None``: that of its source."""
    several_datasets: bool
    prefix: str
    outlet: Outlet
    """Writes the objects."""

    @classmethod
    def of(cls, job: Job, recipe_id: str) -> Layout:
        """The layout of a job's output."""
        benchmark = job.kind == "benchmark"
        folder = Folder(job.output, job.output_profile)
        return cls(
            folder=folder,
            kind=job.kind,
            save=job.save,
            output_format=job.stored_format,
            several_datasets=benchmark or len(job.datasets) > 1,
            prefix=f"objects/{recipe_id[:12]}/" if benchmark else "",
            outlet=outlet_of(job, folder),
        )

    @property
    def keeps_restored(self) -> bool:
        """Whether restored images are stored."""
        return self.kind == "restore" or self.save in ("restored", "all")

    @property
    def keeps_degraded(self) -> bool:
        """Whether degraded images are stored."""
        return self.kind == "degrade" or self.save == "all"

    def restored(self, source: Source, degradation: str, restorer: str, extensions: tuple[str, ...]) -> str:
        """Key of a restored image, relative to ``folder``."""
        return self._key(f"{degradation}/{restorer}", source, extensions)

    def degraded(self, source: Source, degradation: str, extensions: tuple[str, ...]) -> str:
        """Key of a degraded image; one per degradation, whatever restorers follow."""
        return self._key(f"{degradation}/degraded", source, extensions)

    def uncertainty(self, source: Source, extensions: tuple[str, ...]) -> str:
        """Key of the half-widths of a restored image's intervals: in the run folder, where nothing is
        overwritten."""
        key = safe_key(source.key)
        key = f"{source.dataset}/{key}" if self.several_datasets else key
        return with_extension(f"{RUN_FOLDER}/uncertainty/{key}", extensions)

    def stem(self, dataset: str, key: str, degradation: str, part: str) -> str:
        """A key of an object without what its format may append; ``part``: the restorer, or ``degraded``."""
        stem = f"{dataset}/{safe_key(key)}" if self.several_datasets else safe_key(key)
        return f"{self.prefix}{degradation}/{part}/{stem}" if self.kind == "benchmark" else stem

    def _key(self, combination: str, source: Source, extensions: tuple[str, ...]) -> str:
        key = safe_key(source.key)
        if self.output_format is not None or source.sealed:  # an opaque id may have no ending
            key = with_extension(key, extensions)
        if self.several_datasets:
            key = f"{source.dataset}/{key}"
        if self.kind == "benchmark":
            return f"{self.prefix}{combination}/{key}"
        return self.outlet.key(source, key)
