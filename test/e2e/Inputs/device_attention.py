# Writes ONNX models of attention, of many shapes, and data sets that numpy computes.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: device_attention.py FOLDER

Writes FOLDER/test_<case>_<type>/model.onnx with data sets, for f32, f16 and bf16, some for f32 with
numbers of bf16.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "..", "utils"))
from zoo_models import wire
from zoo_models.builder import Model

import numpy as np

# "rounded": f32 models whose numbers are such of bf16.
TYPES = {"f32": 1, "f16": 10, "bf16": 16, "rounded": 1}
ROUNDED = ("odd", "causal", "decode", "steps")
# Batch, heads, heads of keys, queries, keys, size of a head, of a value; what else; names of dims
# that only a run knows, with their sizes in further data sets.
CASES = {
    "one": (1, 1, 1, 1, 1, 1, 1, ""),
    "small": (2, 3, 3, 5, 7, 8, 8, ""),
    "odd": (1, 2, 2, 33, 65, 20, 24, "mask"),
    "grouped": (1, 2, 1, 40, 130, 80, 80, ""),
    "causal": (1, 1, 1, 70, 70, 64, 64, "causal"),
    "wide": (1, 1, 1, 20, 50, 128, 128, "mask causal"),
    "widest": (1, 1, 1, 17, 33, 200, 136, ""),
    "hidden": (1, 2, 2, 6, 40, 16, 16, "hidden"),
    "turned": (2, 3, 3, 20, 20, 32, 32, "turned"),
    "any": (1, 2, 1, 9, 70, 32, 32, "mask any"),
    "decode": (1, 2, 1, 1, 700, 64, 64, "mask"),
    "share": (1, 8, 1, 3, 520, 48, 40, ""),
    "steps": (1, 8, 2, 1, 500, 32, 32, "past causal"),
}
SIZES_OF_RUNS = ((2, 1, 1), (1, 66, 66), (1, 1, 140), (3, 5, 3))
# Batch, queries, and keys that were there before; four heads have the same keys.
SIZES_OF_STEPS = ((2, 3, 290), (1, 4, 0), (1, 20, 300), (1, 1, 0))


def round_to(kind, array):
    array = array.astype(np.float32)
    if kind == "f16":
        return array.astype(np.float16).astype(np.float32)
    if kind in ("bf16", "rounded"):
        bits = array.view(np.uint32)
        bits = bits + 0x7fff + ((bits >> 16) & 1)
        return (bits & 0xffff0000).view(np.float32)
    return array


def attend(query, key, value, mask, causal, past):
    group = query.shape[1] // key.shape[1]
    key, value = np.repeat(key, group, 1), np.repeat(value, group, 1)
    scores = query.astype(np.float64) @ key.transpose(0, 1, 3, 2) / np.sqrt(query.shape[3])
    if mask is not None:
        scores = scores + mask
    if causal:
        rows, keys = scores.shape[2:]
        scores = np.where(np.tri(rows, keys, past, dtype=bool), scores, -np.inf)
    with np.errstate(all="ignore"):
        weights = np.exp(scores - scores.max(-1, keepdims=True, initial=-np.inf))
        return np.nan_to_num(weights / weights.sum(-1, keepdims=True)) @ value


def write(root, name, kind, batch, heads, key_heads, rows, keys, head, value_head, what):
    random = np.random.default_rng(len(name) + 7 * head)
    model = Model(name, 0, 1, 23)
    turned, masked = "turned" in what, "mask" in what or "hidden" in what
    after = "past" in what
    sizes = (["batch", "rows", "keys"] if "any" in what else
             ["batch", "rows", "rows"] if after else [batch, rows, keys])

    def turn(array):
        return array.transpose(0, 2, 1, 3) if turned else array

    def dims(batch, heads, rows, size):
        return [batch, rows, heads, size] if turned else [batch, heads, rows, size]

    inputs = []
    for value, count, length, size in (("q", heads, sizes[1], head), ("k", key_heads, sizes[2], head),
                                       ("v", key_heads, sizes[2], value_head)):
        model.input(value, dims(sizes[0], count, length, size))
        narrow = model.node("Cast", value, to=TYPES[kind])
        inputs.append(model.node("Transpose", narrow, perm=[0, 2, 1, 3]) if turned else narrow)
    if masked:
        model.input("m", [sizes[0], 1, sizes[1], sizes[2]])
        inputs.append(model.node("Cast", "m", to=TYPES[kind]))
    if after:
        inputs.append("")
        for value, size in (("pk", head), ("pv", value_head)):
            model.input(value, ["batch", key_heads, "past", size])
            inputs.append(model.node("Cast", value, to=TYPES[kind]))
    made = model.node("Attention", *inputs, is_causal=int("causal" in what))
    if turned:
        made = model.node("Transpose", made, perm=[0, 2, 1, 3])
    model.node("Cast", made, out="y", to=1)
    model.output("y", dims(sizes[0], heads, sizes[1], value_head))
    folder = os.path.join(root, f"test_{name}_{kind}")
    runs = [(batch, rows, keys)] + list(SIZES_OF_RUNS if "any" in what else
                                        SIZES_OF_STEPS if after else [])
    for number, (batch, rows, keys) in enumerate(runs):
        past = keys if after else 0
        keys += rows if after else 0
        arrays = [round_to(kind, random.standard_normal(shape) * 2) for shape in (
            (batch, heads, rows, head), (batch, key_heads, keys, head),
            (batch, key_heads, keys, value_head))]
        mask = None
        if masked:
            mask = round_to(kind, random.standard_normal((batch, 1, rows, keys)))
            if "hidden" in what:
                # Some keys for a query, and for one none: its result is 0, says the operator.
                mask[:, :, :, 3:30] = -np.inf
                mask[:, :, 2] = -np.inf
        result = attend(*arrays, mask, "causal" in what, past)
        data = os.path.join(folder, f"test_data_set_{number}")
        os.makedirs(data, exist_ok=True)
        given = [turn(array) for array in arrays] + ([mask] if masked else [])
        if after:
            given = [given[0], *(array[:, :, past:] for array in given[1:]),
                     *(array[:, :, :past] for array in given[1:])]
        for stem, values in (("input", given), ("output", [turn(result)])):
            for i, array in enumerate(values):
                array = np.ascontiguousarray(array, np.float32)
                wire.tensor(array).write(os.path.join(data, f"{stem}_{i}.pb"))
    model.write(os.path.join(folder, "model.onnx"))


def main(root):
    for name, case in CASES.items():
        for kind in TYPES if name in ROUNDED else list(TYPES)[:3]:
            write(root, name, kind, *case)


main(sys.argv[1])
