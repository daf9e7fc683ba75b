# Writes ONNX models that add up columns, and data sets that numpy computes.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: device_columns.py FOLDER

Writes FOLDER/test_<network>/model.onnx with its data sets: those whose name ends with _any have
sizes that only a run knows.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from device_data import write

import numpy as np


def product(model):
    """With a bias and a function after each result."""
    model.node("Relu", model.node("Add", model.node("MatMul", "x", "w"), "b"), out="y")
    return lambda x, w, b: np.maximum(x @ w + b, 0)


def reduction(op, axes, function):
    def build(model):
        if op == "ReduceSum":
            model.node(op, "x", model.constant(axes), out="y", keepdims=0)
        else:
            model.node(op, "x", out="y", axes=axes, keepdims=0)
        return lambda x: function(x, axis=tuple(axes))
    return build


def main(root):
    for rows, depth, columns in ((1, 300, 77), (1, 33, 16), (3, 128, 96), (7, 70, 33), (1, 1000, 40)):
        write(root, f"product_{rows}_{depth}_{columns}", product,
              {"x": [rows, depth], "w": [depth, columns], "b": [columns]}, [{}])
    write(root, "product_batch", product, {"x": [2, 1, 64], "w": [2, 64, 50], "b": [50]}, [{}])
    write(root, "product_any", product, {"x": [1, "k"], "w": ["k", "n"], "b": ["n"]},
          [{"k": 300, "n": 77}, {"k": 1, "n": 1}, {"k": 31, "n": 32}, {"k": 32, "n": 33}, {"k": 0, "n": 5}])
    for name, op, function in (("sum", "ReduceSum", np.sum), ("mean", "ReduceMean", np.mean),
                               ("max", "ReduceMax", np.max), ("product_of", "ReduceProd", np.prod)):
        write(root, f"{name}_100_50", reduction(op, [0], function), {"x": [100, 50]}, [{}])
        write(root, f"{name}_middle", reduction(op, [1], function), {"x": [3, 64, 31]}, [{}])
    write(root, "sum_two", reduction("ReduceSum", [0, 2], np.sum), {"x": [4, 3, 20, 40]}, [{}])
    write(root, "sum_any", reduction("ReduceSum", [0], np.sum), {"x": ["r", "c"]},
          [{"r": 500, "c": 90}, {"r": 1, "c": 1}, {"r": 0, "c": 3}, {"r": 257, "c": 31}])


main(sys.argv[1])
