"""python restore.py MODEL.onnx IN.png OUT.png [NOISE_OF_255]: needs onnxruntime, numpy and pillow alone.

A model of one image; ``restore_frames.py`` is for one that takes several frames of a scene.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image


def restore(model: str, image_HWC: np.ndarray, noise_level: float = 15.0) -> np.ndarray:
    """The restored image, uint8, out of one."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    card = json.loads(session.get_modelmeta().custom_metadata_map["card"])
    height, width = image_HWC.shape[:2]
    image_1CHW = (image_HWC.astype(np.float32) / 255).transpose(2, 0, 1)[None]
    pad = [(0, -(-max(side, card["minimum_size"]) // card["multiple_of"]) * card["multiple_of"] - side)
           for side in (height, width)]  # fmt: skip
    given = {"image": np.pad(image_1CHW, [(0, 0), (0, 0), *pad], mode="reflect")}
    if "noise_level" in card["needs"]:
        given["noise_level"] = np.float32([noise_level / 255])
    if "mask" in card["needs"]:  # what is black in the image is to be filled
        known_11HW = (image_1CHW.max(axis=1, keepdims=True) > 0).astype(np.float32)
        given["mask"] = np.pad(known_11HW, [(0, 0), (0, 0), *pad], mode="reflect")
    (restored_1CHW,) = session.run(None, given)
    scale = card["scale"]
    restored_HWC = restored_1CHW[0, :, : height * scale, : width * scale].transpose(1, 2, 0)
    return np.rint(restored_HWC.clip(0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    model, source, target, *noise = sys.argv[1:]
    pixels = np.asarray(Image.open(source).convert("RGB"))
    Image.fromarray(restore(model, pixels, *map(float, noise))).save(target)
