"""The steps of training, in plain torch: no files, no clocks, no engine. Each lives in a file of its own."""

from pipeline.training.example import Example
from pipeline.training.generation_step import GenerationStep
from pipeline.training.moving_average import MovingAverage
from pipeline.training.restoration_step import RestorationStep
from pipeline.training.schedules import build_schedule
from pipeline.training.side import Side

__all__ = ["Example", "GenerationStep", "MovingAverage", "RestorationStep", "Side", "build_schedule"]
