# Writes an ONNX model of one result with data sets that numpy computes, in double precision.
# Licensed under Apache-2.0 WITH LLVM-exception.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "..", "utils"))
from zoo_models import wire
from zoo_models.builder import Model

import numpy as np


def write(root, name, build, inputs, runs):
    """`inputs`: dims by name, `runs`: sizes by the names of dims."""
    random = np.random.default_rng(len(name))
    model = Model(name, 0, 1, 17)
    for value, dims in inputs.items():
        model.input(value, dims)
    compute = build(model)
    folder = os.path.join(root, "test_" + name)
    for number, sizes in enumerate(runs):
        arrays = [random.standard_normal([sizes.get(dim, dim) for dim in dims]).astype(np.float32)
                  for dims in inputs.values()]
        result = np.asarray(compute(*[array.astype(np.float64) for array in arrays]), np.float32)
        data = os.path.join(folder, f"test_data_set_{number}")
        os.makedirs(data, exist_ok=True)
        for i, array in enumerate(arrays):
            wire.tensor(array).write(os.path.join(data, f"input_{i}.pb"))
        wire.tensor(result).write(os.path.join(data, "output_0.pb"))
    free = any(isinstance(dim, str) for dims in inputs.values() for dim in dims)
    model.output("y", [f"y{i}" for i in range(result.ndim)] if free else list(result.shape))
    model.write(os.path.join(folder, "model.onnx"))
