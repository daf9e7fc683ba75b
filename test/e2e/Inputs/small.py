# Writes small ONNX models with data sets, for the tests of the commands.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: small.py FOLDER

Writes FOLDER/<name>/model.onnx, most with test_data_set_0, and inputs as .npy files:
  scale     y = x * w with a symbolic batch; two data sets
  wrong     the same with a wrong expected output
  sum       two inputs
  unknown   an operator that does not exist
  no-data   a model without data sets
  squeeze   Squeeze without axes
  gather divide reshape fill window lengths cut resize   what the data of a run can make fail
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "..", "utils"))
from zoo_models import wire
from zoo_models.wire import Message, value_info

import numpy as np


def node(op, inputs, outputs, name):
    proto = Message()
    for value in inputs:
        proto.data(1, value)
    for value in outputs:
        proto.data(2, value)
    return proto.data(3, name).data(4, op)


def write_model(folder, nodes, inputs, outputs, initializers=()):
    """Inputs and outputs are (name, dtype, dims)."""
    os.makedirs(folder, exist_ok=True)
    graph = Message()
    for proto in nodes:
        graph.message(1, proto)
    graph.data(2, "small")
    for name, array in initializers:
        graph.message(5, wire.tensor(array, name))
    for field, values in ((11, inputs), (12, outputs)):
        for value in values:
            graph.message(field, value_info(*value))
    Message().integer(1, 8).data(2, "small").message(7, graph).message(
        8, Message().data(1, "").integer(2, 13)).write(os.path.join(folder, "model.onnx"))


def write_data(folder, number, inputs, outputs):
    folder = os.path.join(folder, f"test_data_set_{number}")
    os.makedirs(folder, exist_ok=True)
    for stem, arrays in (("input", inputs), ("output", outputs)):
        for i, array in enumerate(arrays):
            wire.tensor(array).write(os.path.join(folder, f"{stem}_{i}.pb"))


def main(root):
    def path(*parts):
        return os.path.join(root, *parts)

    def f32(*values):
        return np.array(values, np.float32)

    def i64(*values):
        return np.array(values, np.int64)

    weight = f32(1, 2, 3, 4)
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    dims = ["batch", 4]
    for name, error in (("scale", 0), ("wrong", 1)):
        write_model(path(name), [node("Mul", ["x", "w"], ["y"], "scale/Mul")],
                    [("x", "float32", dims)], [("y", "float32", dims)], [("w", weight)])
        write_data(path(name), 0, [x], [x * weight + np.float32(error) * (x == 5)])
    write_data(path("scale"), 1, [x[:1]], [x[:1] * weight])
    np.save(path("x.npy"), x)
    np.save(path("x-fortran.npy"), np.asfortranarray(x))
    np.save(path("x-f64.npy"), x.astype(np.float64))
    np.save(path("x-narrow.npy"), x[:, :3])
    np.save(path("y.npy"), x * weight)

    pair = [("a", "float32", [2]), ("b", "float32", [2])]
    write_model(path("sum"), [node("Add", ["a", "b"], ["c/d:0"], "the_Add")], pair,
                [("c/d:0", "float32", [2])])
    write_data(path("sum"), 0, [f32(1, 2), f32(3, 4)], [f32(4, 6)])
    write_model(path("unknown"), [node("Frobnicate", ["x"], ["y"], "the_Frobnicate")],
                [("x", "float32", [2])], [("y", "float32", [2])])
    write_data(path("unknown"), 0, [f32(1, 2)], [f32(1, 2)])
    write_model(path("no-data"), [node("Relu", ["x"], ["y"], "the_Relu")],
                [("x", "float32", [2])], [("y", "float32", [2])])

    write_model(path("squeeze"), [node("Squeeze", ["x"], ["y"], "squeeze/Squeeze")],
                [("x", "float32", ["batch", 1, 4])], [("y", "float32", [])])

    # Models that the data of a run can make fail.
    write_model(path("gather"), [node("Gather", ["x", "i"], ["y"], "the_Gather")],
                [("x", "float32", [4]), ("i", "int64", ["n"])], [("y", "float32", ["n"])])
    write_model(path("divide"), [node("Div", ["a", "b"], ["y"], "the_Div")],
                [("a", "int64", [2]), ("b", "int64", [2])], [("y", "int64", [2])])
    write_model(path("reshape"), [node("Reshape", ["x", "s"], ["y"], "the_Reshape")],
                [("x", "float32", [6]), ("s", "int64", [2])], [("y", "float32", ["m", "n"])])
    write_model(path("fill"), [node("ConstantOfShape", ["s"], ["y"], "the_Fill")],
                [("s", "int64", [2])], [("y", "float32", ["m", "n"])])
    write_model(path("window"), [node("Conv", ["x", "w"], ["y"], "the_Conv")],
                [("x", "float32", [1, 1, "n"])], [("y", "float32", [1, 1, "m"])],
                [("w", np.ones((1, 1, 3), np.float32))])
    write_model(path("lengths"), [node("ReverseSequence", ["x", "n"], ["y"], "the_Reverse")],
                [("x", "float32", [3, 2]), ("n", "int64", [2])], [("y", "float32", [3, 2])])
    np.save(path("x32.npy"), np.arange(6, dtype=np.float32).reshape(3, 2))
    write_model(path("cut"), [node("Slice", ["x", "s", "e", "axes"], ["y"], "the_Slice")],
                [("x", "float32", [3, 2]), ("s", "int64", [2]), ("e", "int64", [2]), ("axes", "int64", [2])],
                [("y", "float32", ["m", "n"])])
    write_model(path("resize"), [node("Resize", ["x", "", "s"], ["y"], "the_Resize")],
                [("x", "float32", [3, 2]), ("s", "float32", [2])], [("y", "float32", ["m", "n"])])
    np.save(path("halves.npy"), f32(1, 0.5))
    np.save(path("no-scale.npy"), f32(1, 0))
    np.save(path("nan-scale.npy"), f32(1, np.nan))
    for n in (2, 3):
        np.save(path(f"wide-{n}.npy"), np.arange(1, n + 1, dtype=np.float32).reshape(1, 1, n))
    for name, array in (
            ("f4", f32(1, 2, 3, 4)), ("f6", f32(1, 2, 3, 4, 5, 6)), ("near", i64(3, -4)),
            ("far", i64(0, 4)), ("none", i64()), ("ones", i64(1, 1)), ("zero", i64(1, 0)), ("minus", i64(-1, -1)),
            ("least", i64(1, np.iinfo(np.int64).min)), ("s23", i64(2, 3)), ("s01", i64(0, 1)), ("s0m", i64(0, -2)),
             ("s24", i64(2, 4)),
            ("negative", i64(2, -3)), ("huge", i64(1 << 40, 1 << 40))):
        np.save(path(name + ".npy"), array)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
