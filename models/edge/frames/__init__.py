"""Networks of several frames with operators that ONNX has, and shapes that are known when they run."""
