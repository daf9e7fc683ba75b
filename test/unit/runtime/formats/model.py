# The model of the stored artifacts in this folder, one per format version that was released.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: model.py MODEL.onnx

Writes y = (x * w)[i], with x f32[batch, 4], i i64[count] and w = 1, 2, 3, 4: weights, symbolic
dimensions and a run that can fail. When a version is released:

    model.py model.onnx && lathe compile model.onnx -o vN.lathe

Nothing that is stored here is ever replaced: it is what users have on their disks.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "..", "e2e", "Inputs"))
from small import node, write_model

import numpy as np


def main(path):
    folder, name = os.path.split(os.path.abspath(path))
    write_model(folder, [node("Mul", ["x", "w"], ["t"], "scale"),
                         node("Gather", ["t", "i"], ["y"], "pick")],
                [("x", "float32", ["batch", 4]), ("i", "int64", ["count"])],
                [("y", "float32", ["count", 4])],
                [("w", np.array([1, 2, 3, 4], np.float32))])
    os.replace(os.path.join(folder, "model.onnx"), os.path.join(folder, name))


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] == "--help":
        sys.exit(__doc__)
    main(sys.argv[1])
