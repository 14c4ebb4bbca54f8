"""A model's image path as a file that is served without this code: torch.export or ONNX."""
