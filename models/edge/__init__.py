"""Restorers for machines without PyTorch: networks as ONNX, and ONNX behind the call of every other."""
