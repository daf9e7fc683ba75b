# Writes ONNX models of products of bytes by constant weights, and data sets that numpy computes.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: device_bytes.py FOLDER

Writes FOLDER/test_<case>/model.onnx with a data set: signed and unsigned bytes, zero points that are
known when compiling and that are not, windows with a border, and one zero point of a weight's column.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "..", "utils"))
from zoo_models import wire
from zoo_models.builder import Model

import numpy as np

random = np.random.default_rng(5)


def write(root, name, model, arrays, result):
    data = os.path.join(root, "test_" + name, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    for i, array in enumerate(arrays):
        wire.tensor(array).write(os.path.join(data, f"input_{i}.pb"))
    wire.tensor(result).write(os.path.join(data, "output_0.pb"))
    model.write(os.path.join(root, "test_" + name, "model.onnx"))


def product(root, name, dtype, zero, rows, depth, columns, is_open=False):
    """`zero`: a number, or "input"."""
    model = Model(name, 0, 1, 17)
    low, high = (0, 256) if dtype == "uint8" else (-128, 128)
    a = random.integers(low, high, (rows, depth)).astype(dtype)
    w = random.integers(-128, 128, (depth, columns)).astype(np.int8)
    model.input("a", ["rows" if is_open else rows, depth], dtype)
    arrays, number = [a], zero
    if zero == "input":
        number = 77
        model.input("z", [], dtype)
        arrays.append(np.array(number, dtype))
        point = "z"
    else:
        point = model.constant(np.array(zero, dtype))
    model.node("MatMulInteger", "a", model.parameter("w", w), point, out="y")
    result = (a.astype(np.int32) - number) @ w.astype(np.int32)
    model.output("y", ["rows" if is_open else rows, columns], "int32")
    write(root, name, model, arrays, result)


def convolution(root, name, zero, channels, filters, size):
    model = Model(name, 0, 1, 17)
    a = random.integers(0, 256, (1, channels, size, size)).astype(np.uint8)
    w = random.integers(-128, 128, (filters, channels, 3, 3)).astype(np.int8)
    model.input("a", a.shape, "uint8")
    model.node("ConvInteger", "a", model.parameter("w", w), model.constant(np.array(zero, "uint8")),
               out="y", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    padded = np.pad(a.astype(np.int32) - zero, [(0, 0), (0, 0), (1, 1), (1, 1)])
    result = sum(np.einsum("nchw,oc->nohw", padded[:, :, i:i + size, j:j + size],
                           w[:, :, i, j].astype(np.int32)) for i in range(3) for j in range(3))
    model.output("y", result.shape, "int32")
    write(root, name, model, [a], result.astype(np.int32))


def main(root):
    product(root, "plain", "uint8", 0, 70, 96, 40)
    product(root, "middle", "uint8", 128, 64, 64, 64)
    product(root, "known", "uint8", 117, 33, 100, 24)
    product(root, "signed", "int8", -3, 40, 65, 72)
    product(root, "given", "uint8", "input", 20, 130, 48)
    product(root, "open", "uint8", "input", 20, 64, 48, is_open=True)
    convolution(root, "border", 117, 16, 24, 9)


main(sys.argv[1])
