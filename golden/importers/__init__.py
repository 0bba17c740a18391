"""Models of other programs, read into float networks: PyTorch, Keras, ONNX."""
