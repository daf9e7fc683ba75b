# Writes ONNX models that work on rows, of many lengths, and data sets that numpy computes.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: device_rows.py FOLDER

Writes FOLDER/test_<network>_<length>/model.onnx with a data set, and test_<network>_any, whose
sizes only a run knows, with one for each of several lengths.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "..", "utils"))
from zoo_models import wire
from zoo_models.builder import Model

import numpy as np

# One thread for a row; one step of a warp, and a little more; several; more than threads hold.
LENGTHS = (20, 32, 33, 300, 8200)
LENGTHS_OF_RUNS = (0, 1, 31, 129, 300)


def exp_rows(x):
    return np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))


def soft(x):
    return exp_rows(x) / exp_rows(x).sum(-1, keepdims=True)


def normal(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + 1e-5)


# Each builds a network on the inputs and computes the same: `x` has rows, `z` as many, `w` is one.


def softmax(model):
    model.node("Softmax", "x", out="y", axis=-1)
    return lambda x: [soft(x)]


def log_softmax(model):
    model.node("LogSoftmax", "x", out="y", axis=-1)
    return lambda x: [x - x.max(-1, keepdims=True, initial=-np.inf)
                      - np.log(exp_rows(x).sum(-1, keepdims=True))]


def layer_norm(model):
    """What is normalized is wanted as well."""
    model.node("Add", "x", "z", out="y2")
    model.node("LayerNormalization", "y2", "w", "w", out="y", axis=-1)
    return lambda x, z, w: [normal(x + z) * w + w, x + z]


def rms_norm(model):
    square = model.node("Mul", "x", "x")
    mean = model.node("ReduceMean", square, axes=[-1], keepdims=1)
    root = model.node("Sqrt", model.node("Add", mean, model.constant(1e-5)))
    model.node("Div", "x", root, out="y")
    return lambda x: [x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)]


def twice(model):
    """A result between two passes that others read, and one of which each row has one."""
    model.node("Softmax", "x", out="y2", axis=-1)
    scaled = model.node("Mul", "y2", "w")
    model.node("Softmax", scaled, out="y", axis=-1)
    model.node("ReduceSum", scaled, model.constant([-1]), out="y3", keepdims=0)
    return lambda x, w: [soft(soft(x) * w), soft(x), (soft(x) * w).sum(-1)]


def row_and_elements(model):
    model.node("ReduceSumSquare", "x", axes=[-1], out="y2", keepdims=1)
    model.node("Mul", "x", "y2", out="y")
    return lambda x: [x * (x * x).sum(-1, keepdims=True), (x * x).sum(-1, keepdims=True)]


def integers(model):
    """Maximum and minimum need an initial value that counts in each thread."""
    whole = model.node("Cast", "x", to=6)
    top = model.node("ReduceMax", whole, axes=[-1], keepdims=1)
    bottom = model.node("ReduceMin", whole, axes=[-1], keepdims=1)
    model.node("Cast", model.node("Sub", top, bottom), out="y2", to=1)
    model.node("Cast", model.node("Sub", whole, bottom), out="y", to=1)

    def compute(x):
        whole = x.astype(np.int32)
        bottom = whole.min(-1, keepdims=True)
        return [(whole - bottom).astype(np.float32),
                (whole.max(-1, keepdims=True) - bottom).astype(np.float32)]
    return compute


def write(root, name, network, dims, lengths):
    random = np.random.default_rng(len(name))
    model = Model(name, 0, 1, 17)
    compute = network(model)
    inputs = compute.__code__.co_varnames[:compute.__code__.co_argcount]
    for value in inputs:
        model.input(value, dims[-1:] if value == "w" else dims)
    folder = os.path.join(root, "test_" + name)
    for number, length in enumerate(lengths):
        shape = [size if isinstance(size, int) else 2 for size in dims[:-1]] + [length]
        arrays = [(3 * random.standard_normal(shape[-1:] if value == "w" else shape))
                  .astype(np.float32) for value in inputs]
        with np.errstate(all="ignore"):
            results = [np.asarray(result, np.float32) for result in compute(*arrays)]
        data = os.path.join(folder, f"test_data_set_{number}")
        os.makedirs(data, exist_ok=True)
        for stem, values in (("input", arrays), ("output", results)):
            for i, array in enumerate(values):
                wire.tensor(array).write(os.path.join(data, f"{stem}_{i}.pb"))
    for i, result in enumerate(results):
        declared = list(result.shape)
        if any(isinstance(size, str) for size in dims):
            declared = list(dims[:result.ndim])
            if result.ndim == len(dims) and result.shape[-1] == 1 != lengths[-1]:
                declared[-1] = 1
        model.output("y" if i == 0 else f"y{i + 1}", declared)
    model.write(os.path.join(folder, "model.onnx"))


def main(root):
    for network in (softmax, log_softmax, layer_norm, rms_norm, twice, row_and_elements, integers):
        for length in LENGTHS:
            write(root, f"{network.__name__}_{length}", network, [2, 3, length], [length])
        # The extremes of nothing are no numbers.
        lengths = [length for length in LENGTHS_OF_RUNS if length or network is not integers]
        write(root, f"{network.__name__}_any", network, ["batch", "rows", "length"], lengths)


main(sys.argv[1])
