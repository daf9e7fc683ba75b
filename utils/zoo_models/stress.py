# Graphs of 10,000 nodes, for the time that compiling takes: nothing may be quadratic in it.
# Licensed under Apache-2.0 WITH LLVM-exception.
import math

import numpy as np

from .builder import Model

WIDTH = 64
SIZES = {
    "stress-chain": dict(kind="chain", nodes=10000),
    "tiny-stress-chain": dict(kind="chain", nodes=120),
    "stress-mixed": dict(kind="mixed", nodes=10000),
    "small-stress-mixed": dict(kind="mixed", nodes=4000),
    "tiny-stress-mixed": dict(kind="mixed", nodes=120),
}


def _chain(model, x, nodes):
    """Elementwise operations only, each on the result of the one before."""
    scale = model.parameter("scale", model.uniform(WIDTH, 0.9, 1.1))
    shift = model.parameter("shift", model.normal(WIDTH, 0.3))
    for index in range(nodes // 3):
        with model.scope(f"step{index}"):
            x = model.node("Tanh", model.node("Add", model.node("Mul", x, scale), shift))
    return x


def _mixed(model, x, nodes):
    """Residual blocks that cut the value in two, multiply one part, and put it together again."""
    half = WIDTH // 2
    weights = [model.parameter(f"weight{index}", model.normal((half, half), math.sqrt(1 / half)))
               for index in range(4)]
    first, middle, last, axis = (model.parameter(name, np.array([value], np.int64)) for name, value
                                 in (("first", 0), ("middle", half), ("last", WIDTH), ("axis", 1)))
    for index in range(nodes // 6):
        with model.scope(f"block{index}"):
            low = model.node("Slice", x, first, middle, axis)
            high = model.node("Slice", x, middle, last, axis)
            product = model.node("MatMul", low, weights[index % len(weights)])
            joined = model.node("Concat", high, product, axis=1)
            x = model.node("Tanh", model.node("Add", x, joined))
    return x


def build(name, seed, batch):
    size = SIZES[name]
    model = Model(name, seed, batch, opset=13)
    x = model.input("input", [model.batch, WIDTH])
    x = (_chain if size["kind"] == "chain" else _mixed)(model, x, size["nodes"])
    model.node("Identity", x, out="output")
    model.output("output", [model.batch, WIDTH])
    return model
