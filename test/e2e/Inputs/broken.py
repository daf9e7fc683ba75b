# Writes ONNX files that are wrong in one way each, for the tests of what bad input gets.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: broken.py FOLDER      writes FOLDER/<case>.onnx for every case below"""
import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "..", "utils"))
from zoo_models import wire
from zoo_models.wire import Message, attribute, value_info

import numpy as np


def node(op, inputs, outputs, name=None, domain=None, **attributes):
    proto = Message()
    for value in inputs:
        proto.data(1, value)
    for value in outputs:
        proto.data(2, value)
    proto.data(3, name or f"the_{op}").data(4, op)
    for key, value in attributes.items():
        proto.message(5, attribute(key, value))
    return proto.data(7, domain) if domain else proto


def model(nodes, initializers=(), dims=(4,), outputs=("y",), inputs=("x",), ir=8, opset=13):
    graph = Message()
    for proto in nodes:
        graph.message(1, proto)
    graph.data(2, "broken")
    for proto in initializers:
        graph.message(5, proto)
    for name in inputs:
        graph.message(11, value_info(name, "float32", dims))
    for name in outputs:
        graph.message(12, value_info(name, "float32", dims))
    return Message().integer(1, ir).message(7, graph).message(
        8, Message().data(1, "").integer(2, opset))


def initializer(name, dims, raw):
    """A float initializer whose bytes need not match its shape."""
    proto = Message()
    for dim in dims:
        proto.integer(1, dim)
    return proto.integer(2, 1).data(8, name).data(9, raw)


def external(location, offset=0, length=16):
    """A float initializer of 4 elements in another file."""
    proto = Message().integer(1, 4).integer(2, 1).data(8, "w")
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        proto.message(13, Message().data(1, key).data(2, value))
    return model([node("Add", ["x", "w"], ["y"])], [proto.integer(14, 1)])


def add(weight):
    return model([node("Add", ["x", "w"], ["y"])], [weight])


def nested(depth):
    """`If` in `If` in `If`: a decoder that recurses without a limit runs out of stack."""
    graph = Message().data(2, "leaf")
    for _ in range(depth):
        branch = Message().data(1, "then_branch").message(6, graph).integer(20, 5)
        inner = Message().data(2, "y").data(3, "the_If").data(4, "If").message(5, branch)
        graph = Message().message(1, inner).data(2, "level")
    return Message().integer(1, 8).message(7, graph).message(8, Message().integer(2, 13))


def write_all(folder):
    relu = node("Relu", ["x"], ["y"])
    good = model([relu])
    whole = b"".join(bytes(chunk) for chunk in good.chunks)
    four = struct.pack("<4f", 1, 2, 3, 4)
    cases = {
        "good": good,
        "empty": b"",
        "truncated": whole[:len(whole) // 2],
        "text": b"this is no model, only some text that goes on for a while\n" * 20,
        "new-ir": model([relu], ir=1000),
        "new-opset": model([relu], opset=1000),
        "unknown-op": model([node("Frobnicate", ["x"], ["a"], "first"),
                             node("Frobnicate", ["a"], ["b"], "second"),
                             node("Quux", ["b"], ["y"], "third", domain="com.example")]),
        "attribute-type": model([node("LeakyRelu", ["x"], ["y"], alpha="steep")]),
        "cycle": model([node("Add", ["x", "b"], ["a"], "first"),
                        node("Relu", ["a"], ["b"], "second"), node("Relu", ["b"], ["y"], "third")]),
        "missing-input": model([node("Add", ["x", "nowhere"], ["y"])]),
        "missing-output": model([node("Relu", ["x"], ["z"])]),
        "too-few-inputs": model([node("Add", ["x"], ["y"])]),
        "duplicate-value": model([node("Relu", ["x"], ["y"], "first"),
                                  node("Sigmoid", ["x"], ["y"], "second")]),
        "duplicate-input": model([relu], inputs=("x", "x")),
        "short-initializer": add(initializer("w", [4], four[:12])),
        "long-initializer": add(initializer("w", [4], four + four)),
        "huge-initializer": add(initializer("w", [1 << 40, 1 << 40], four)),
        "negative-initializer": add(initializer("w", [-4], four)),
        "shape-overflow": model([node("Expand", ["x", "s"], ["y"])], dims=(1,), initializers=[
            wire.tensor(np.array([1 << 40, 1 << 40], np.int64), "s")]),
        "impossible-reshape": model([node("Reshape", ["x", "s"], ["y"])], initializers=[
            wire.tensor(np.array([3, 5], np.int64), "s")]),
        "bad-broadcast": add(wire.tensor(np.arange(3, dtype=np.float32), "w")),
        "bad-axis": model([node("Softmax", ["x"], ["y"], axis=7)]),
        "nested": nested(5000),
        "external-parent": external("../outside.bin"),
        "external-absolute": external(os.path.join(os.path.abspath(folder), "outside.bin")),
        "external-link": external("link.bin"),
        "external-missing": external("missing.bin"),
        "external-short": external("weights.bin", offset=8),
        "external-offset": external("weights.bin", offset=-16),
        "external-good": external("weights.bin"),
    }
    inside = os.path.join(folder, "models")
    os.makedirs(inside, exist_ok=True)
    for name, data in cases.items():
        with open(os.path.join(inside, name + ".onnx"), "wb") as file:
            for chunk in (data.chunks if isinstance(data, Message) else [data]):
                file.write(chunk)
    for path in (os.path.join(folder, "outside.bin"), os.path.join(inside, "weights.bin")):
        with open(path, "wb") as file:
            file.write(four)
    link = os.path.join(inside, "link.bin")
    if not os.path.islink(link):
        os.symlink("../outside.bin", link)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write_all(sys.argv[1])
