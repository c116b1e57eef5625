"""Results in shards of the names that the input's have: one object a unit, put when the unit is done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from pipeline.doors.outlet import Locate, Results, Row
from pipeline.doors.staging import Staging
from pipeline.doors.tar.archive import TarArchive
from pipeline.doors.tar.keys import in_shard, split
from pipeline.doors.tar.member import Member
from pipeline.doors.tar.merging import Made, opened_before, parts
from pipeline.doors.tar.results import TarResults
from pipeline.doors.tar.shard import ShardWriter
from pipeline.storage.folder import Folder
from pipeline.storage.noting import Written
from pipeline.storage.scratch import scratch
from pipeline.units import Source


class TarOutlet(Staging):
    """Keeps a unit's results on this machine's disk until ``finish`` writes its shard.

    A shard says in its header of which input shard at which version it was made. Members of that very version
    stay where a later unit, of a retry or a repair, brings others; those of any other are gone with it.
    """

    def __init__(self, folder: Folder) -> None:
        super().__init__("shards")
        self.folder = folder

    def key(self, source: Source, key: str) -> str:
        """In the shard of its source; of a private one, in a shard of an opaque name."""
        if source.sealed:
            *above, name = key.split("/")
            return "/".join([*above, f"{source.bundle}.tar", name])
        name = Member.of(source.at).name
        return in_shard(key, name.count("/") + 1) if name else key

    def stored_at(self, key: str) -> str:
        """The shard."""
        return split(key)[0]

    def companion(self, key: str) -> str | None:
        """The shard has all that goes along."""
        return None

    def put(self, source: Source, key: str, data: bytes | Path) -> str:
        """A file that waits."""
        self.waiting(source).write_bytes(data if isinstance(data, bytes) else data.read_bytes())
        return key

    def remove(self, source: Source, key: str) -> None:
        """It was put nowhere yet."""
        self.waiting(source).unlink(missing_ok=True)

    def finish(self, sources: Sequence[Source], rows: Sequence[Row], locate: Locate) -> dict[str, Exception]:
        """One PUT a shard."""
        keys = {row["source_id"]: row["output_uri"] for row in rows if row["status"] == "ok"}
        bundles: dict[str, list[Source]] = defaultdict(list)
        for source in sources:
            if source.source_id in keys:
                bundles[source.bundle].append(source)
        faults: dict[str, Exception] = {}
        for done in bundles.values():
            try:
                self._write(done, keys, locate)
            except Exception as error:
                faults |= dict.fromkeys((each.source_id for each in done), error)
        for source in sources:
            self.waiting(source).unlink(missing_ok=True)
        return faults

    def conclude(self, rows: Iterable[Row], written: Written) -> None:
        """Shards say what is in them."""

    def results(self) -> Results:
        """Members, by their shards' headers."""
        return TarResults(self.folder)

    def _write(self, sources: list[Source], keys: dict[str, str], locate: Locate) -> None:
        target, _ = split(keys[sources[0].source_id])
        archive, at = locate(sources[0])
        assert isinstance(archive, TarArchive)
        made = {
            Member.of(locate(each)[1]).offset: Made(split(keys[each.source_id])[1], self.waiting(each))
            for each in sources
        }
        is_private = bool(sources[0].sealed)
        with ExitStack() as stack:
            shard = archive.opened(Member.of(at), stack)
            before = opened_before(self.folder, target, sources[0].bundle, stack)
            path = stack.enter_context(scratch("shard")) / "shard.tar"
            with path.open("wb") as file, ShardWriter(file, sources[0].bundle) as writer:
                for name, size, content in parts(shard, before, made, with_labels=not is_private):
                    writer.add(name, size, content)
            self.folder.put_file(target, path)
