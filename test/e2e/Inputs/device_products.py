# Writes ONNX models of products and convolutions, and data sets that numpy computes.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: device_products.py FOLDER

Writes FOLDER/test_<network>/model.onnx with a data set. Rows of the operands begin at multiples of
16, 8, 4 and 2 bytes; sizes are those of tiles, and are not; some only a run knows.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "..", "utils"))
from zoo_models import wire
from zoo_models.builder import Model

import numpy as np


def product(model, left, right):
    """Of matrices as they are, or `left` or `right` transposed: which neighbours lie together."""
    operands = [model.node("Transpose", name, perm=[0, 2, 1]) if turned else name
                for name, turned in (("a", left), ("b", right))]
    model.node("MatMul", *operands, out="y")
    return lambda a, b: np.matmul(a.transpose(0, 2, 1) if left else a,
                                  b.transpose(0, 2, 1) if right else b)


def convolution(model, stride):
    model.node("Conv", "a", "b", out="y", kernel_shape=[3, 3], pads=[1, 1, 1, 1],
               strides=[stride, stride])

    def compute(a, b):
        rows, columns = ((size - 1) // stride + 1 for size in a.shape[2:])
        padded = np.pad(a, [(0, 0), (0, 0), (1, 1), (1, 1)])
        return sum(np.einsum("nchw,oc->nohw",
                             padded[:, :, i:i + stride * rows:stride,
                                    j:j + stride * columns:stride][:, :, :rows, :columns],
                             b[:, :, i, j]) for i in range(3) for j in range(3))
    return compute


def write(root, name, dtype, network, shapes, declared=None, more=()):
    random = np.random.default_rng(len(name))
    model = Model(name, 0, 1, 17)
    compute = network(model)
    for value, dims in zip("ab", declared or shapes):
        model.input(value, dims, dtype)
    for number, given in enumerate((shapes, *more)):
        data = os.path.join(root, "test_" + name, f"test_data_set_{number}")
        os.makedirs(data, exist_ok=True)
        arrays = [random.integers(-4, 5, shape).astype(dtype) for shape in given]
        # Small whole numbers: whatever the order, sums are exact.
        result = compute(*(array.astype(np.float64) for array in arrays)).astype(dtype)
        for i, array in enumerate(arrays):
            wire.tensor(array).write(os.path.join(data, f"input_{i}.pb"))
        wire.tensor(result).write(os.path.join(data, "output_0.pb"))
    model.output("y", result.shape if not declared else
                 [f"y{i}" for i in range(result.ndim)], dtype)
    model.write(os.path.join(root, "test_" + name, "model.onnx"))


def main(root):
    turns = (("nn", False, False), ("tn", True, False), ("nt", False, True), ("tt", True, True))
    for turn, left, right in turns:
        for dtype in ("float16", "float32"):
            # Rows of m, k and n elements begin at multiples of 16, 8, 4 and 2 bytes.
            for m, k, n in ((64, 96, 128), (72, 40, 88), (68, 100, 76), (34, 38, 42), (65, 33, 67)):
                if (m, n) != (64, 128) or turn == "nn":
                    shapes = [(2, k, m) if left else (2, m, k), (2, n, k) if right else (2, k, n)]
                    write(root, f"{turn}_{dtype}_{m}_{k}_{n}", dtype,
                          lambda model: product(model, left, right), shapes)
        shapes = [(3, 80, 70) if left else (3, 70, 80), (3, 90, 80) if right else (3, 80, 90)]
        write(root, f"{turn}_any", "float16", lambda model: product(model, left, right), shapes,
              [["batch", "r", "s"], ["batch", "t", "u"]])
        # More steps than stages.
        shapes = [(2, 328, 72) if left else (2, 72, 328), (2, 88, 328) if right else (2, 328, 88)]
        write(root, f"{turn}_float16_72_328_88", "float16",
              lambda model: product(model, left, right), shapes)
    # Rows of a batch that follow each other are rows of one matrix.
    write(root, "joined_float16", "float16", lambda model: product(model, False, False),
          [(3, 30, 200), (200, 72)])
    # Many products of such sizes that tiles of 128 x 128 and 64 x 128 suit them, by how large batches
    # usually are.
    for m, n in ((70, 90), (60, 100)):
        write(root, f"batches_{m}", "float16", lambda model: product(model, False, False),
              [(2, m, 136), (2, 136, n)], [["batch", m, 136], ["batch", 136, n]])
    # Rows of which a run knows how many there are; their length is known.
    write(root, "rows_any", "float16", lambda model: product(model, False, False),
          [(2, 70, 104), (2, 104, 72)], [["batch", "rows", 104], ["batch", 104, 72]])
    # Much to add up for few results.
    for dtype in ("float16", "float32"):
        write(root, f"deep_{dtype}", dtype, lambda model: product(model, False, True),
              [(1, 20, 2048), (1, 70, 2048)])
        write(root, f"deep_{dtype}_any", dtype, lambda model: product(model, False, False),
              [(1, 9, 1040), (1, 1040, 72)], [[1, "rows", 1040], [1, 1040, 72]],
              [[(1, 70, 1040), (1, 1040, 72)], [(1, 1, 1040), (1, 1040, 72)]])
    write(root, "deep_row", "float32", lambda model: product(model, False, False),
          [(1, 1, 4096), (1, 4096, 40)])
    write(root, "deep_conv", "float16", lambda model: convolution(model, 1),
          [(1, 128, 5, 5), (24, 128, 3, 3)])
    write(root, "double", "float64", lambda model: product(model, False, True),
          [(1, 70, 50), (1, 33, 50)])
    for dtype in ("float16", "float32"):
        for channels, width, stride in ((16, 13, 1), (12, 10, 2), (10, 9, 1), (9, 8, 1)):
            write(root, f"conv_{dtype}_{channels}_{stride}", dtype,
                  lambda model: convolution(model, stride),
                  [(2, channels, width, width), (24, channels, 3, 3)])


main(sys.argv[1])
