"""A model out of the notebook: exported to ONNX, proven equal, and laid down as a folder that explains itself."""
