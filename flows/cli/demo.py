"""The job of ``restora demo``: photographs inside scikit-image's wheel, so that nothing is downloaded."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

import PIL.Image

from pipeline.errors import RunStopped
from pipeline.jobs.job import Job
from pipeline.storage.output_file import write_output

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "ihc.png", "motorcycle_left.png", "rocket.jpg")
"""Colour pictures inside scikit-image's wheel."""

SIDE = 320
"""Pixels of the longest side: the middle of each picture, so that two cores need some twenty seconds."""


def demo_job(dest: Path) -> Job:
    """The job, its images copied to ``dest/images`` unless they are there."""
    copy_photographs(dest / "images")
    return Job.parse(
        {
            "name": "demo",
            "output": str(dest),
            "datasets": [{"name": "photographs", "uri": str(dest / "images")}],
            "degradations": ["awgn-25", "awgn-50"],
            "restorers": ["ffdnet-colour", "total-variation", "median"],
            "metrics": ["psnr", "ssim", "psnr_y", "ssim_y", "mae", "mse"],
        },
        where="demo",
    )


def copy_photographs(folder: Path) -> None:
    """Puts what is missing, as PNG; ``RunStopped`` where scikit-image came without its pictures."""
    package = find_spec("skimage")
    assert package is not None
    assert package.origin is not None
    folder.mkdir(parents=True, exist_ok=True)
    for name in PHOTOGRAPHS:
        shipped = Path(package.origin).parent / "data" / name
        if not shipped.is_file():
            raise RunStopped(f"{shipped}: the picture is missing; pip install --force-reinstall scikit-image")
        copy = folder / f"{shipped.stem}.png"
        if not copy.exists():
            _put_middle(shipped, copy)


def _put_middle(picture: Path, copy: Path) -> None:
    with PIL.Image.open(picture) as image:
        width, height = min(image.width, SIDE), min(image.height, SIDE)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        middle = image.convert("RGB").crop((left, top, left + width, top + height))
    content = io.BytesIO()
    middle.save(content, format="PNG")
    write_output(copy, content.getvalue())
