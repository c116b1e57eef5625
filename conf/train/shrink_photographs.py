"""Turns unpacked packages into the training set: ``shrink_photographs.py photographs.tsv FOLDER``.

JPEG works on 8 x 8 blocks and cameras leave noise: a photograph for training is made smaller by 2
at least, and to a longer side of 1600 pixels at most, which removes most of both. Those of
scikit-image, which validate, stay as they are. What is trained on is there at a half and a quarter
of that as well, in ``smaller``: as much detail to a pixel as test images of 256 x 256 have.
"""

import csv
import hashlib
import sys
from pathlib import Path

import PIL.Image
import skimage

LONGEST = 1600
TRAINED_ON = ("train", "more")
SMALLER = {"half": 2, "quarter": 4}


def find(folder: Path, package: str, name: str, sha256: str) -> Path:
    """The file of a Debian package below ``FOLDER/packages``, or of the installed scikit-image.

    ``SystemExit`` where no file of that name has the digest: another version of the package.
    """
    is_installed = package == "scikit-image"
    base = Path(skimage.__file__).parent / "data" if is_installed else folder / "packages" / package
    for path in sorted(base.rglob(name)):
        if hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
    raise SystemExit(
        f"{package}: no {name} of SHA-256 {sha256}; gather_photographs.sh says which Debian has it"
    )


def shrink(photograph: PIL.Image.Image) -> PIL.Image.Image:
    """By 2 or more with Lanczos, to a longer side of at most ``LONGEST``."""
    factor = max(2.0, max(photograph.size) / LONGEST)
    width, height = (round(side / factor) for side in photograph.size)
    return photograph.resize((width, height), PIL.Image.Resampling.LANCZOS)


def main(table: Path, folder: Path) -> None:
    """Writes ``FOLDER/train``, ``more``, ``validate``, ``held-out`` and ``smaller``."""
    with table.open(newline="") as lines:
        rows = list(csv.reader((line for line in lines if not line.startswith("#")), delimiter="\t"))
    for use, package, name, _, _, sha256 in rows:
        photograph = PIL.Image.open(find(folder, package, name, sha256)).convert("RGB")
        target = folder / use / f"{Path(name).stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        picture = photograph if use == "validate" else shrink(photograph)
        picture.save(target)
        for scale, factor in SMALLER.items() if use in TRAINED_ON else ():
            width, height = (round(side / factor) for side in picture.size)
            target = folder / "smaller" / scale / f"{Path(name).stem}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            picture.resize((width, height), PIL.Image.Resampling.LANCZOS).save(target)
        print(use, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
