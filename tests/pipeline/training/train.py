"""``python -m tests.pipeline.training.train RECIPE.json OUT ENGINE``: a process to kill."""

import sys
import time
from pathlib import Path

from pipeline.training.recipe import TrainingRecipe
from pipeline.training.run import TrainingOptions, train

if __name__ == "__main__":
    recipe = TrainingRecipe.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))

    def told(news):
        print(news.step, news.message, flush=True)
        time.sleep(float(sys.argv[4]))  # slow enough to be caught at work

    finished = train(recipe, sys.argv[2], TrainingOptions(engine=sys.argv[3], device="cpu"), told=told)
    print("finished", finished.steps, flush=True)
