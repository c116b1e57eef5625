"""Metrics: one score per image, each with the protocol it is made by.

Adding one: a file with a frozen class (``protocol`` and ``__call__``), a line here, and
``python -m pipeline.metrics > docs/metrics.md``. The contract test runs over all of them.
"""

from __future__ import annotations

from typing import Any

from models.plugins import Parts, is_module_address
from pipeline.metrics.base import Metric, MetricProtocol
from pipeline.metrics.bias import Bias
from pipeline.metrics.consistency import Consistency, ConsistencyWorstTile
from pipeline.metrics.correctness import Hallucination, Improvement, Omission
from pipeline.metrics.cpsnr import CorrectedPSNR
from pipeline.metrics.cssim import CorrectedSSIM
from pipeline.metrics.dists import DISTS, DISTSLite0
from pipeline.metrics.enl import ENL
from pipeline.metrics.ergas import ERGAS
from pipeline.metrics.gmsd import GMSD
from pipeline.metrics.guided import Hqnr, Qnr
from pipeline.metrics.haarpsi import HaarPSI
from pipeline.metrics.lpips import LPIPSVGG, LPIPSAlex, LPIPSLite0
from pipeline.metrics.mae import MAE
from pipeline.metrics.ms_ssim import MSSSIM
from pipeline.metrics.mse import MSE, NRMSE, RMSE
from pipeline.metrics.niqe import Niqe
from pipeline.metrics.psnr import PSNR, PSNRY
from pipeline.metrics.ratio_bias import RatioBias
from pipeline.metrics.sam import SAM
from pipeline.metrics.scc import SCC
from pipeline.metrics.sfrc import MRI, SFRC, SFRCFlagged
from pipeline.metrics.sharpness import Sharpness
from pipeline.metrics.ssim import SSIM, SSIMY
from pipeline.metrics.temporal import FlowError, TemporalError, WorstFramePSNR
from pipeline.metrics.uqi import UQI
from pipeline.metrics.volume import VolumeNMSE, VolumePSNR, VolumeSSIM

__all__ = ["METRICS", "Metric", "MetricProtocol"]

_ALL: tuple[Metric, ...] = (
    PSNR(),
    PSNRY(),
    SSIM(),
    SSIMY(),
    MSSSIM(),
    MSE(),
    RMSE(),
    NRMSE(),
    MAE(),
    Bias(),
    GMSD(),
    HaarPSI(),
    LPIPSLite0(),
    LPIPSAlex(),
    LPIPSVGG(),
    DISTSLite0(),
    DISTS(),
    UQI(),
    SAM(),
    ERGAS(),
    SCC(),
    Qnr(),
    Hqnr(),
    Improvement(),
    Omission(),
    Hallucination(),
    SFRC(),
    SFRCFlagged(),
    SFRC(MRI),
    SFRCFlagged(MRI),
    Sharpness(),
    Niqe(),
    ENL(),
    RatioBias(),
    Consistency(),
    ConsistencyWorstTile(),
    CorrectedPSNR(),
    CorrectedSSIM(),
    WorstFramePSNR(),
    TemporalError(),
    FlowError(),
    VolumePSNR(),
    VolumeSSIM(),
    VolumeNMSE(),
)


def _accepted(name: str, value: Any) -> Metric:
    metric = value() if isinstance(value, type) else value
    protocol = getattr(metric, "protocol", None)
    if not isinstance(protocol, MetricProtocol) or not callable(metric):
        raise TypeError(f"it is {value!r}, not a metric with a MetricProtocol as its protocol")
    if protocol.name != name and not is_module_address(name):
        raise ValueError(f'its protocol calls it "{protocol.name}"; give both the same name')
    accepted: Metric = metric
    return accepted


METRICS: Parts[Metric] = Parts("metrics", {metric.protocol.name: metric for metric in _ALL}, _accepted)
"""Every metric by the name that a job gives it."""
