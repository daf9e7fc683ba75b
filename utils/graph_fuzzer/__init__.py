# Random ONNX graphs, and what numpy says of them; see utils/fuzz-graphs.
