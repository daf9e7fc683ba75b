# Writes models whose types NumPy lacks, and one with a temporary of unknown size, for the tests of the Python package.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: narrow_python.py FOLDER

Writes FOLDER/TYPE.onnx for bf16, some float8, and types below a byte: y = x, and z = x as float32,
for any number of elements; and FOLDER/temporary.onnx, which counts what is not zero by listing it."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from control import graph, node
from zoo_models import wire
from zoo_models.wire import Message, tensor_type

TYPES = ("bfloat16", "float8e4m3fn", "float8e5m2", "float8e8m0", "float4e2m1", "int4", "uint4", "int2",
         "uint2")



def write(name, kind, nodes, outputs):
    proto = graph("", nodes, outputs)
    proto.message(11, wire.typed_info("x", kind))
    Message().integer(1, 13).data(2, "narrow").message(7, proto).message(
        8, Message().data(1, "").integer(2, 25)).write(os.path.join(sys.argv[1], name + ".onnx"))


for each in TYPES:
    write(each, tensor_type(each, ["n"]), [node("Identity", "x", "y"), node("Cast", "x", "z", to=1)],
          "y z")
write("temporary", tensor_type("float32", ["n", "m"]),
      [node("NonZero", "x", "places"), node("ReduceSum", "places", "y", keepdims=0)], "y")
