"""What a run left: tables, counts and report.

Imports inside functions keep torch and tables out of the start-up of a notebook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.ledger.run_folder import RunFolder
    from pipeline.results.verify import Verification


class Result:
    """The outcome of a run; ``open_result`` gives that of an earlier one."""

    def __init__(self, run_folder: RunFolder, verification: Verification | None = None) -> None:
        self._run_folder = run_folder
        self.verification = verification
        """What reading every stored object back found; ``None`` for a result that was only opened."""

    def __repr__(self) -> str:
        return f"Result({self.output!r})"

    @property
    def output(self) -> str:
        """Where the run's images are."""
        return self._run_folder.job.output

    @property
    def report(self) -> str:
        """Address of the report, an HTML page."""
        from pipeline.report.write import PAGE

        return self._run_folder.folder.uri(PAGE)

    def metrics(self) -> pa.Table:
        """A row per image x degradation x restorer; ``.to_pandas()`` makes a data frame of it."""
        from pipeline.results.tables import read_metrics

        return read_metrics(self._run_folder)

    def summary(self) -> pa.Table:
        """Means with 95 % intervals, a row per dataset x degradation x restorer x metric."""
        from pipeline.results.tables import read_summary

        return read_summary(self._run_folder)


def open_result(output: str, profile: str | None = None) -> Result:
    """The result in the output of an earlier run. ``JobError`` where there is none.

    ``profile`` names credentials for ``s3://`` addresses.
    """
    from flows.addresses import open_output

    return Result(open_output(str(output), profile))
