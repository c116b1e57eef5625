"""Whether a GPU may round what it multiplies in convolutions of float32."""

from __future__ import annotations

import torch

from pipeline.jobs.job import Job


def choose_tf32(job: Job) -> None:
    """For this process: PyTorch would use it in every convolution, those of degradations too."""
    chosen = job.resources.tf32
    torch.backends.cudnn.allow_tf32 = job.kind == "restore" if chosen is None else chosen
