# Writes a model that joins one input very many times.
# Licensed under Apache-2.0 WITH LLVM-exception.
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "utils"))
from zoo_models.builder import Model  # noqa: E402

path, parts = sys.argv[1], int(sys.argv[2])
model = Model("many_parts", 0, 1, opset=17)
x = model.input("x", [2], "float32")
y = model.node("Concat", *[x] * parts, axis=0)
model.output(y, [2 * parts], "float32")
model.write(path)
