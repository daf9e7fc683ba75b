# Writes models whose rows are so short that a vector takes several. Licensed under Apache-2.0 WITH
# LLVM-exception.
"""usage: sums.py FOLDER

Writes FOLDER/sumN.onnx, a dot product of rows of N numbers, for N from 2 to 4; softmax.onnx, of rows
of 4; and product.onnx, where every number is added to a product that is the same for all."""
import os
import sys

import numpy as np

from small import node, write_model


def write(folder, name, nodes, inputs, dims):
    inputs = [(key, "float32", shape) for key, shape in inputs.items()]
    write_model(folder, nodes, inputs, [("z", "float32", dims)], [("axes", np.array([1], np.int64))])
    os.rename(os.path.join(folder, "model.onnx"), os.path.join(folder, name + ".onnx"))


def main(folder):
    for size in (2, 3, 4):
        write(folder, f"sum{size}",
              [node("Mul", ["x", "y"], ["p"], "mul"), node("ReduceSum", ["p", "axes"], ["z"], "sum")],
              {"x": ["batch", size], "y": ["batch", size]}, ["batch", 1])
    write(folder, "softmax", [node("Softmax", ["x"], ["z"], "softmax")], {"x": ["batch", 4]},
          ["batch", 4])
    write(folder, "product",
          [node("Mul", ["s", "t"], ["p"], "mul"), node("Add", ["p", "x"], ["z"], "add")],
          {"x": ["batch"], "s": [1], "t": [1]}, ["batch"])


if __name__ == "__main__":
    main(sys.argv[1])
