#!/usr/bin/python3
# What the kernels of tensors.mlir compute. Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: check_tensors.py FOLDER X.npy"""
import sys

import numpy


def main():
    x = numpy.load(sys.argv[2])
    y, z = (numpy.load(f"{sys.argv[1]}/{name}.npy") for name in "yz")
    expected = numpy.zeros((40, 64), x.dtype)
    expected[:len(x), :62] = x[:40, 8:70]
    numpy.testing.assert_array_equal(y, expected)
    # Element (i, j, k) of the tensor is at 216 i + 72 j + k from the eighth number on.
    box = numpy.zeros((2, 2, 16), x.dtype)
    box[0, 1, 2:14] = x[3, 8:20]
    numpy.testing.assert_array_equal(z.reshape(2, 2, 16), box)


main()
