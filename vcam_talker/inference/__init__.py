"""Sessions over ONNX Runtime, OpenVINO and torch: one way to run a network, whatever runs it."""
