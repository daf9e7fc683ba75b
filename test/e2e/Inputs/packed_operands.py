# Writes ONNX models of products whose operands are inputs, and data sets that numpy computes.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: packed_operands.py FOLDER"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from device_data import write

import numpy as np


def plain(model):
    model.node("MatMul", "a", "b", out="y")
    return np.matmul


def turned(model):
    model.node("MatMul", "a", model.node("Transpose", "b", perm=[1, 0]), out="y")
    return lambda a, b: a @ b.T


def followed(model):
    """By a row for all, a number for each row, and a matrix, all of them read in parts."""
    product = model.node("Add", model.node("MatMul", "a", "b"), "row")
    model.node("Relu", model.node("Add", model.node("Mul", product, "column"), "z"), out="y")
    return lambda a, b, row, column, z: np.maximum((a @ b + row) * column + z, 0)


def shared(model):
    """One operand of two products, and a third that reads what the first one wrote."""
    first = model.node("MatMul", "a", "b")
    second = model.node("MatMul", "c", "b")
    model.node("MatMul", model.node("Tanh", model.node("Add", first, second)), "d", out="y")
    return lambda a, b, c, d: np.tanh(a @ b + c @ b) @ d


def main(root):
    write(root, "even", plain, {"a": [40, 256], "b": [256, 1024]}, [{}])
    write(root, "odd", plain, {"a": [37, 301], "b": [301, 1003]}, [{}])
    write(root, "rest", plain, {"a": [17, 700], "b": [700, 331]}, [{}])
    write(root, "few", plain, {"a": [3, 256], "b": [256, 1024]}, [{}])
    write(root, "batched", plain, {"a": [3, 20, 130], "b": [3, 130, 1024]}, [{}])
    write(root, "batches", plain, {"a": ["n", 20, 130], "b": ["n", 130, 1024]}, [{"n": 2}, {"n": 0}])
    write(root, "turned", turned, {"a": [33, 260], "b": [1024, 260]}, [{}])
    write(root, "followed", followed,
          {"a": [50, 200], "b": [200, 1090], "row": [1090], "column": [50, 1], "z": [50, 1090]}, [{}])
    write(root, "shared", shared,
          {"a": [18, 256], "b": [256, 1024], "c": [18, 256], "d": [1024, 128]}, [{}])
    write(root, "any", plain, {"a": ["n", 256], "b": [256, 1024]},
          [{"n": 40}, {"n": 14}, {"n": 15}, {"n": 1}, {"n": 0}])
    write(root, "any_shared", shared, {"a": ["n", 256], "b": [256, 1024], "c": ["n", 256], "d": [1024, 128]},
          [{"n": 20}, {"n": 2}])


main(sys.argv[1])
