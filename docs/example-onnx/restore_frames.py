"""python restore_frames.py MODEL.onnx OUT.png PLACE FRAME.png FRAME.png ...: needs what restore.py does.

The frames of one scene, all as large, in their order; the one at PLACE, counted from 0, is restored by
the others.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image


def restore(model: str, scene_SHWC: np.ndarray, place: int) -> np.ndarray:
    """The frame at ``place`` restored, uint8, out of all frames of its scene."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    card = json.loads(session.get_modelmeta().custom_metadata_map["card"])
    height, width = scene_SHWC.shape[1:3]
    scene_SCHW = (scene_SHWC.astype(np.float32) / 255).transpose(0, 3, 1, 2)
    pad = [(0, -(-max(side, card["minimum_size"]) // card["multiple_of"]) * card["multiple_of"] - side)
           for side in (height, width)]  # fmt: skip
    scene_SCHW = np.pad(scene_SCHW, [(0, 0), (0, 0), *pad], mode="reflect")
    given = {"image": scene_SCHW[place : place + 1], "frames": np.delete(scene_SCHW, place, axis=0)[None]}
    if "place" in card["needs"]:  # how many of the other frames come before the image
        given["place"] = np.array([place])
    (restored_1CHW,) = session.run(None, given)
    scale = card["scale"]
    restored_HWC = restored_1CHW[0, :, : height * scale, : width * scale].transpose(1, 2, 0)
    return np.rint(restored_HWC.clip(0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    model, target, place, *sources = sys.argv[1:]
    pixels = np.stack([np.asarray(Image.open(source).convert("RGB")) for source in sources])
    Image.fromarray(restore(model, pixels, int(place))).save(target)
