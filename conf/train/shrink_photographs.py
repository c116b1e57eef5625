"""Turns unpacked packages into the training set: ``shrink_photographs.py photographs.tsv FOLDER``.

JPEG works on 8 x 8 blocks and cameras leave noise: a photograph for training is made smaller by 2
at least, and to a longer side of 1600 pixels at most, which removes most of both.
"""

import csv
import sys
from pathlib import Path

import PIL.Image
import skimage

LONGEST = 1600


def find(folder: Path, package: str, name: str) -> Path:
    """The file of a Debian package below ``FOLDER/packages``, or of the installed scikit-image."""
    if package == "scikit-image":
        return Path(skimage.__file__).parent / "data" / name
    return next((folder / "packages" / package).rglob(name))


def shrink(photograph: PIL.Image.Image) -> PIL.Image.Image:
    """By 2 or more with Lanczos, to a longer side of at most ``LONGEST``."""
    factor = max(2.0, max(photograph.size) / LONGEST)
    width, height = (round(side / factor) for side in photograph.size)
    return photograph.resize((width, height), PIL.Image.Resampling.LANCZOS)


def main(table: Path, folder: Path) -> None:
    """Writes ``FOLDER/train`` and ``FOLDER/validate``."""
    with table.open(newline="") as lines:
        rows = list(csv.reader((line for line in lines if not line.startswith("#")), delimiter="\t"))
    for use, package, name, *_ in rows:
        photograph = PIL.Image.open(find(folder, package, name)).convert("RGB")
        target = folder / use / f"{Path(name).stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        (shrink(photograph) if use == "train" else photograph).save(target)
        print(use, target.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
