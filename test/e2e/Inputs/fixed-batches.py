# Models of batches whose size stands in the file, for fixed-batches.test.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: fixed-batches.py FOLDER

Writes FOLDER/<name>/{model.onnx,test_data_set_0}. Each sample from that alone:
  apart      two outputs, one of which has two rows for a sample
  table      reads a table that all samples share
Not so, or not known to be:
  constant   a shape in which the number of samples is a constant
  added      a constant of its own for each sample
  across     every sample meets all others
  counted    how many there are is data
  weights    an input of as many rows, which are no samples
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from small import node, write_data, write_model

import numpy as np


def main(root):
    def write(name, nodes, inputs, outputs, constants=()):
        def describe(values):
            return [(key, str(array.dtype), list(array.shape)) for key, array in values]
        folder = os.path.join(root, name)
        write_model(folder, nodes, describe(inputs), describe(outputs), list(constants))
        write_data(folder, 0, [array for _, array in inputs], [array for _, array in outputs])

    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    square, other = x[:, :4], x[:, 2:]
    weight = np.arange(1, 7, dtype=np.float32)
    rows = x[:, :1] + 1
    numbers = x.astype(np.int64)
    table = np.arange(5, dtype=np.float32) * 3
    places = np.array([[0, 1], [4, 2], [2, 2], [3, 0]], np.int64)

    write("apart", [node("Mul", ["x", "w"], ["y"], "Mul"),
                    node("Reshape", ["x", "s"], ["z"], "Reshape")],
          [("x", x)], [("y", x * weight), ("z", x.reshape(8, 3))],
          [("w", weight), ("s", np.array([-1, 3], np.int64))])
    write("table", [node("Gather", ["t", "i"], ["y"], "Gather")],
          [("i", places), ("t", table)], [("y", table[places])])
    write("constant", [node("Reshape", ["x", "s"], ["y"], "Reshape")],
          [("x", x)], [("y", x.reshape(4, 2, 3))], [("s", np.array([4, 2, 3], np.int64))])
    write("added", [node("Add", ["x", "c"], ["y"], "Add")], [("x", x)], [("y", x + rows)],
          [("c", rows)])
    write("across", [node("MatMul", ["x", "x"], ["y"], "MatMul")],
          [("x", square)], [("y", square @ square)])
    write("counted", [node("Size", ["x"], ["n"], "Size"), node("Mul", ["x", "n"], ["y"], "Mul")],
          [("x", numbers)], [("y", numbers * 24)])
    write("weights", [node("MatMul", ["x", "w"], ["y"], "MatMul")],
          [("x", square), ("w", other)], [("y", square @ other)])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
