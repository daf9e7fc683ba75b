# Python: compiles a model where that is not done yet, and runs it.
#   classify.py mlp.onnx|mlp.lathe
# Apache-2.0 WITH LLVM-exception.
import sys

import lathe
import numpy as np

path = sys.argv[1]
model = lathe.compile(path) if path.endswith(".onnx") else lathe.load(path)
for info in model.inputs:
    print(info)
numeric = np.array([[0.5, -1.0, 0.25, 2.0, 0.0, 1.5]], np.float32)
print(f"probability {model(numeric, np.array([[4, 2]]))[0, 0]:.3f}")
