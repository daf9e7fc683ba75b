# Compares what matrices.mlir gives with what PTX says of ldmatrix.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: check_matrices.py Y.npy, of the numbers 0, 1, 2..."""
import sys

import numpy as np

x = np.arange(256).reshape(4, 8, 8)
lanes = np.load(sys.argv[1]).reshape(32, 14)
for lane in range(32):
    row, column = lane // 4, lane % 4 * 2
    pairs = [x[i, row, column:column + 2] for i in (0, 1, 2, 3, 0, 1)]
    pairs.append(x[0, column:column + 2, row])
    np.testing.assert_array_equal(lanes[lane], np.concatenate(pairs), f"lane {lane}")
