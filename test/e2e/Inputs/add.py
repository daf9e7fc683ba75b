# Writes a model that adds two tensors of four floats. Licensed under Apache-2.0 WITH LLVM-exception.
import sys

from small import node, write_model

write_model(sys.argv[1], [node("Add", ["x", "y"], ["z"], "add")],
            [("x", "float32", [4]), ("y", "float32", [4])], [("z", "float32", [4])])
