"""Small photographs for jobs: cuts of those in scikit-image's wheel, as PNG files."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import skimage.data


def put_photographs(folder: Path, count: int, size: int = 48) -> None:
    """``count`` different colour images of ``size`` x ``size`` pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    image = skimage.data.astronaut()
    for index in range(count):
        top, left = divmod(index * 37, 400)
        cut = np.ascontiguousarray(image[top : top + size, left : left + size])
        PIL.Image.fromarray(cut).save(folder / f"{index:03}.png")


def job_fields(images: Path, output: Path, **more) -> dict:
    """A quick benchmark job over a folder of images."""
    return {
        "name": "quick",
        "output": str(output),
        "datasets": [{"name": "cuts", "uri": str(images)}],
        "degradations": ["awgn-25"],
        "restorers": ["identity", "median"],
        "metrics": ["psnr", "ssim"],
        **more,
    }


def put_job(path: Path, fields: dict) -> Path:
    """Writes a job as TOML."""
    path.write_text("".join(f"{name} = {_toml(value)}\n" for name, value in fields.items()), encoding="utf-8")
    return path


def _toml(value) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
