"""The report: one self-contained HTML page about a finished run."""

from pipeline.report.page import build_page
from pipeline.report.run_provenance import RunProvenance
from pipeline.report.sample import Pick, Sample, pick_samples

__all__ = ["Pick", "RunProvenance", "Sample", "build_page", "pick_samples"]
