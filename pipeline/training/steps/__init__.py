"""The steps of training, in plain torch: no files, no clocks, no engine. Each lives in a file of its own."""

from pipeline.training.steps.example import Example
from pipeline.training.steps.generation import GenerationStep
from pipeline.training.steps.moving_average import MovingAverage
from pipeline.training.steps.network_update import NetworkUpdate
from pipeline.training.steps.restoration import RestorationStep
from pipeline.training.steps.schedules import build_schedule

__all__ = ["Example", "GenerationStep", "MovingAverage", "NetworkUpdate", "RestorationStep", "build_schedule"]
