# Prints .npy files, one line each: type, shape, elements.
# Licensed under Apache-2.0 WITH LLVM-exception.
import sys

import numpy as np

for path in sys.argv[1:]:
    array = np.load(path)
    print(array.dtype, list(array.shape), array.ravel().tolist())
