"""``python -m pipeline.metrics`` prints the page of all metrics."""

from __future__ import annotations

from pipeline.metrics import METRICS
from pipeline.metrics.page import page

print(page(metric.protocol for metric in METRICS.built_in.values()), end="")
