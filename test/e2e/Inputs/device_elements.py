# Writes ONNX models that work on many elements, and data sets that numpy computes.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: device_elements.py FOLDER"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from device_data import write

import numpy as np


def plain(model):
    model.node("Relu", model.node("Add", "x", "z"), out="y")
    return lambda x, z: np.maximum(x + z, 0)


def biased(model):
    """One number for a row, and one row for all."""
    model.node("Tanh", model.node("Mul", model.node("Add", "x", "row"), "column"), out="y")
    return lambda x, row, column: np.tanh((x + row) * column)


def narrow(model):
    """Elements of two sizes."""
    half = model.node("Cast", "x", to=10)
    model.node("Cast", model.node("Mul", half, half), to=1, out="y")
    return lambda x: (x.astype(np.float16) ** 2).astype(np.float32)


def beside(model):
    """The second result begins at no multiple of 16 bytes."""
    model.node("Concat", model.node("Neg", "x"), model.node("Exp", "z"), out="y", axis=0)
    return lambda x, z: np.concatenate([-x, np.exp(z)])


def main(root):
    whole = {"x": [300, 512], "z": [300, 512]}
    write(root, "plain", plain, whole, [{}])
    write(root, "odd", plain, {"x": [301, 513], "z": [301, 513]}, [{}])
    write(root, "any", plain, {"x": ["n", 64], "z": ["n", 64]}, [{"n": 1}, {"n": 0}, {"n": 33}])
    write(root, "biased", biased, {"x": [300, 512], "row": [512], "column": [300, 1]}, [{}])
    write(root, "narrow", narrow, {"x": [300, 512]}, [{}])
    write(root, "beside", beside, {"x": [3], "z": [140000]}, [{}])


main(sys.argv[1])
