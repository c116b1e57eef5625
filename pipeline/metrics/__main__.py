"""``python -m pipeline.metrics`` prints the page of all metrics."""

from __future__ import annotations

from pipeline.metrics import METRICS
from pipeline.metrics.page import page
from pipeline.metrics.volume import VOLUME_METRICS

of_volumes = (protocol for _, protocol in VOLUME_METRICS.values())
print(page((metric.protocol for metric in METRICS.values()), of_volumes), end="")
