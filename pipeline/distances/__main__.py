"""``python -m pipeline.distances RESTORED REFERENCE`` prints the distances between two folders as JSON."""

from __future__ import annotations

import argparse
import json
import sys

from pipeline.distances import frechet_distance, kernel_distance
from pipeline.distances.features import Lite0Features
from pipeline.distances.folders import summarise_folder
from pipeline.errors import JobError, RestoraError
from pipeline.storage.folder import Folder


def measured(restored: Folder, reference: Folder, device: str) -> dict[str, object]:
    """Both distances, the numbers of images, and the objects that were left out, with the reason."""
    network = Lite0Features(device)
    first, second = (summarise_folder(folder, network) for folder in (restored, reference))
    return {
        "frechet_lite0": frechet_distance(first.features, second.features),
        "kernel_lite0": kernel_distance(first.features, second.features),
        "n_restored": first.features.count,
        "n_reference": second.features.count,
        "skipped": {
            folder.uri(key): reason
            for folder, each in ((restored, first), (reference, second))
            for key, reason in each.skipped.items()
        },
    }


def main(arguments: list[str]) -> int:
    """Exit code 0, 2 for a command that cannot be run, 1 for a set or store that does not serve."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.distances", description=__doc__)
    parser.add_argument("restored", help="folder or fsspec URL")
    parser.add_argument("reference", help="folder or fsspec URL; its images need not be the same ones")
    parser.add_argument("--profile", help="named profile of the stores' credentials, for s3://")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    given = parser.parse_args(arguments)
    restored, reference = (Folder(url, given.profile) for url in (given.restored, given.reference))
    try:
        print(json.dumps(measured(restored, reference, given.device), indent=1))
    except (RestoraError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, JobError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
