# Writes ONNX models whose operands lie across their results, and data sets that numpy computes.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: device_transposes.py FOLDER"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from device_data import write

import numpy as np

FLOAT, INT8, FLOAT16, DOUBLE = 1, 3, 10, 11


def plain(perm):
    def build(model):
        model.node("Transpose", "x", perm=perm, out="y")
        return lambda x: x.transpose(perm)
    return build


def of(dtype, kind):
    """Numbers of another size."""
    def build(model):
        turned = model.node("Transpose", model.node("Cast", "x", to=dtype), perm=[1, 0])
        model.node("Cast", turned, to=FLOAT, out="y")
        return lambda x: x.astype(np.float32).astype(kind).astype(np.float64).T
    return build


def among(model):
    """Two that lie across, one that does not, one number for a row and one row for all; and a result
    that the next operator wants as well."""
    turned = model.node("Relu", model.node("Transpose", "x", perm=[1, 0]))
    other = model.node("Transpose", "w", perm=[1, 0])
    total = model.node("Add", model.node("Mul", turned, "z"), other)
    model.node("Sub", model.node("Add", total, "row"), model.node("Mul", turned, "column"), out="y")
    return lambda x, w, z, row, column: (np.maximum(x.T, 0) * z + w.T + row
                                         - np.maximum(x.T, 0) * column)


def images(model):
    """Channels behind, and what is known of each of them."""
    model.node("Add", model.node("Transpose", "x", perm=[0, 2, 3, 1]), "b", out="y")
    return lambda x, b: x.transpose(0, 2, 3, 1) + b


def main(root):
    write(root, "square", plain([1, 0]), {"x": [64, 96]}, [{}])
    write(root, "odd", plain([1, 0]), {"x": [77, 33]}, [{}])
    write(root, "narrow", plain([1, 0]), {"x": [3, 200]}, [{}])
    write(root, "batched", plain([0, 2, 1]), {"x": [3, 40, 50]}, [{}])
    write(root, "reversed", plain([2, 1, 0]), {"x": [35, 3, 41]}, [{}])
    write(root, "heads", plain([0, 2, 1, 3]), {"x": [2, 20, 18, 32]}, [{}])
    write(root, "any", plain([1, 0]), {"x": ["n", "m"]},
          [{"n": 70, "m": 50}, {"n": 1, "m": 40}, {"n": 33, "m": 1}, {"n": 0, "m": 5}, {"n": 4, "m": 0}])
    write(root, "any_batched", plain([2, 0, 1]), {"x": ["b", "n", 36]},
          [{"b": 2, "n": 40}, {"b": 1, "n": 1}, {"b": 0, "n": 4}])
    write(root, "f16", of(FLOAT16, np.float16), {"x": [66, 41]}, [{}])
    write(root, "i8", of(INT8, np.int8), {"x": [66, 41]}, [{}])
    write(root, "f64", of(DOUBLE, np.float64), {"x": [66, 41]}, [{}])
    write(root, "among", among, {"x": [45, 60], "w": [45, 60], "z": [60, 45], "row": [45],
                                 "column": [60, 1]}, [{}])
    write(root, "images", images, {"x": [2, 40, 7, 9], "b": [40]}, [{}])


main(sys.argv[1])
