# GPT-2 with a KV cache that comes in and goes out; the length of the past is dynamic.
# Licensed under Apache-2.0 WITH LLVM-exception.
import math

import numpy as np

from .builder import Model
from .layers import gelu_tanh, layer_norm

SIZES = {
    "gpt2": dict(words=50257, positions=1024, width=768, heads=12, layers=12),
    "tiny-gpt2": dict(words=100, positions=32, width=32, heads=4, layers=2),
}
LOWEST = float(np.finfo(np.float32).min)


def _conv1d(model, x, in_features, out_features, gain=1.0):
    """The original's Conv1D: flatten to rows, Gemm, and back to the rank that came."""
    shape = model.node("Slice", model.node("Shape", x), model.constant([0]), model.constant([2]),
                       model.constant([0]))
    shape = model.node("Concat", shape, model.constant([out_features]), axis=0)
    rows = model.node("Reshape", x, model.constant([-1, in_features]))
    weight = model.normal((in_features, out_features), math.sqrt(gain / in_features))
    y = model.node("Gemm", rows, model.parameter("weight", weight),
                   model.parameter("bias", model.normal(out_features, 0.05)), alpha=1.0, beta=1.0)
    return model.node("Reshape", y, shape)


def _causal(model, scores, query, key, positions):
    """Hides what comes after each query: a slice of a stored triangle, then Where."""
    triangle = np.tril(np.ones((1, 1, positions, positions), dtype=bool))
    triangle = model.parameter("bias", triangle)
    axis = model.constant([0])
    queries, keys = model.dim(query, -2), model.dim(key, -2)
    start = model.node("Unsqueeze", model.node("Sub", keys, queries), axis)
    end = model.node("Unsqueeze", keys, axis)
    rows = model.node("Slice", triangle, start, end, model.constant([2]), model.constant([1]))
    cut = model.node("Slice", rows, axis, end, model.constant([3]), model.constant([1]))
    return model.node("Where", cut, scores, model.constant(LOWEST))


def _attention(model, x, mask, past, index, size):
    width, heads = size["width"], size["heads"]
    with model.scope("c_attn"):
        joint = _conv1d(model, x, width, 3 * width)
    parts = model.node("Split", joint, model.constant([width] * 3), axis=2, results=3)

    def split_heads(y):
        y = model.reshape(y, model.dim(y, 0), model.dim(y, 1), heads, width // heads)
        return model.node("Transpose", y, perm=[0, 2, 1, 3])

    query, key, value = (split_heads(part) for part in parts)
    key = model.node("Concat", past[0], key, axis=-2, out=f"present.{index}.key")
    value = model.node("Concat", past[1], value, axis=-2, out=f"present.{index}.value")
    scores = model.node("MatMul", query, model.node("Transpose", key, perm=[0, 1, 3, 2]))
    scores = model.node("Div", scores, model.constant(math.sqrt(width // heads)))
    scores = _causal(model, scores, query, key, size["positions"])
    weights = model.node("Softmax", model.node("Add", scores, mask), axis=-1)
    y = model.node("Transpose", model.node("MatMul", weights, value), perm=[0, 2, 1, 3])
    y = model.reshape(y, model.dim(y, 0), model.dim(y, 1), width)
    with model.scope("c_proj"):
        return _conv1d(model, y, width, width)


def _positions(model, ids, past):
    """past, past + 1, ... for the tokens that came, [1, sequence]."""
    first = model.dim(past, 2)
    end = model.node("Add", model.dim(ids, 1), first)
    span = model.node("Range", first, end, model.constant(1))
    return model.node("Unsqueeze", span, model.constant([0]))


def _mask(model, mask):
    for axis in (1, 2):
        mask = model.node("Unsqueeze", mask, model.constant([axis]))
    mask = model.node("Cast", mask, to=1)
    return model.node("Mul", model.node("Sub", model.constant(1.0), mask), model.constant(LOWEST))


def build(name, seed, batch):
    size = SIZES[name]
    width = size["width"]
    model = Model(name, seed, batch, opset=13)
    ids = model.input("input_ids", [model.batch, "sequence"], "int64")
    mask = model.input("attention_mask", [model.batch, "total_sequence"], "int64")
    cache = [model.batch, size["heads"], "past_sequence", width // size["heads"]]
    pasts = [[model.input(f"past_key_values.{index}.{kind}", cache) for kind in ("key", "value")]
             for index in range(size["layers"])]
    with model.scope("transformer"):
        positions = _positions(model, ids, pasts[0][0])
        mask = _mask(model, mask)
        with model.scope("wte"):
            words = model.parameter("weight", model.normal((size["words"], width), 0.1))
            x = model.node("Gather", words, ids)
        with model.scope("wpe"):
            table = model.parameter("weight", model.normal((size["positions"], width), 0.05))
            x = model.node("Add", x, model.node("Gather", table, positions))
        for index in range(size["layers"]):
            with model.scope(f"h.{index}"):
                with model.scope("ln_1"):
                    y = layer_norm(model, x, width)
                with model.scope("attn"):
                    x = model.node("Add", _attention(model, y, mask, pasts[index], index, size), x)
                with model.scope("ln_2"):
                    y = layer_norm(model, x, width)
                with model.scope("mlp"):
                    with model.scope("c_fc"):
                        y = _conv1d(model, y, width, 4 * width, gain=2.0)
                    with model.scope("act"):
                        y = gelu_tanh(model, y)
                    with model.scope("c_proj"):
                        y = _conv1d(model, y, 4 * width, width, gain=0.5)
                x = model.node("Add", x, y)
        with model.scope("ln_f"):
            x = layer_norm(model, x, width)
    with model.scope("lm_head"):
        # The weight is tied to the embedding; exporters keep one copy and transpose it.
        model.node("MatMul", x, model.node("Transpose", words, perm=[1, 0]), out="logits")
    model.output("logits", [model.batch, "sequence", size["words"]])
    cache[2] = "total_sequence"
    for index in range(size["layers"]):
        for kind in ("key", "value"):
            model.output(f"present.{index}.{kind}", cache)
    return model
