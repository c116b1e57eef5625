"""A network in ONNX with weights and arithmetic of 16 bits: half the file; inputs and outputs stay float32.

By onnxruntime's own converter. A CPU without such arithmetic computes in float32 and converts in between.
"""

from __future__ import annotations

import importlib
import logging


def in_half(content: bytes) -> bytes:
    """The graph of ``content`` in float16, with its metadata; ``ValueError`` where that cannot be."""
    onnx = importlib.import_module("onnx")
    proto = onnx.load_from_string(content)
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # of weights that are smaller than the smallest number of float16
    try:
        convert = importlib.import_module("onnxruntime.transformers.float16").convert_float_to_float16
        light = convert(proto, keep_io_types=True, disable_shape_infer=True)
    except Exception as error:  # the converter's own kinds of errors
        raise ValueError(f"this graph has no float16 ({error}); export it in float32") from error
    finally:
        logging.disable(before)
    del light.graph.value_info[:]
    written: bytes = light.SerializeToString(deterministic=True)
    return written
