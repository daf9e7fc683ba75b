# BERT: post-norm transformer encoder with dynamic batch and sequence.
# Licensed under Apache-2.0 WITH LLVM-exception.
import math

import numpy as np

from .builder import Model
from .layers import gelu_erf, gemm, layer_norm, linear

SIZES = {
    "bert-base": dict(words=30522, positions=512, width=768, heads=12, inner=3072, layers=12),
    "tiny-bert-base": dict(words=100, positions=32, width=32, heads=4, inner=64, layers=2),
}
EPSILON = 1e-12


def _embeddings(model, ids, types, size):
    sequence = model.dim(ids, 1)
    zero = model.constant([0])
    positions = model.parameter("position_ids", np.arange(size["positions"], dtype=np.int64)[None])
    end = model.node("Unsqueeze", sequence, zero)
    positions = model.node("Slice", positions, zero, end, model.constant([1]))
    parts = []
    for name, rows, index in (("word_embeddings", size["words"], ids),
                              ("token_type_embeddings", 2, types),
                              ("position_embeddings", size["positions"], positions)):
        with model.scope(name):
            table = model.parameter("weight", model.normal((rows, size["width"]), 0.5))
            parts.append(model.node("Gather", table, index))
    x = model.node("Add", model.node("Add", parts[0], parts[1]), parts[2])
    with model.scope("LayerNorm"):
        return layer_norm(model, x, size["width"], EPSILON)


def _mask(model, mask):
    """0 where a token counts, the lowest float where not, [batch, 1, 1, sequence]."""
    mask = model.node("Unsqueeze", mask, model.constant([1]))
    mask = model.node("Unsqueeze", mask, model.constant([2]))
    mask = model.node("Cast", mask, to=1)
    mask = model.node("Sub", model.constant(1.0), mask)
    return model.node("Mul", mask, model.constant(float(np.finfo(np.float32).min)))


def _self_attention(model, x, mask, width, heads):
    def split(name, perm):
        with model.scope(name):
            y = linear(model, x, width, width)
        y = model.reshape(y, model.dim(y, 0), model.dim(y, 1), heads, width // heads)
        return model.node("Transpose", y, perm=perm)

    query = split("query", [0, 2, 1, 3])
    key = split("key", [0, 2, 3, 1])
    value = split("value", [0, 2, 1, 3])
    scores = model.node("Div", model.node("MatMul", query, key),
                        model.constant(math.sqrt(width // heads)))
    weights = model.node("Softmax", model.node("Add", scores, mask), axis=-1)
    y = model.node("Transpose", model.node("MatMul", weights, value), perm=[0, 2, 1, 3])
    return model.reshape(y, model.dim(y, 0), model.dim(y, 1), width)


def _layer(model, x, mask, size, out=None):
    width = size["width"]
    with model.scope("attention"):
        with model.scope("self"):
            y = _self_attention(model, x, mask, width, size["heads"])
        with model.scope("output"):
            with model.scope("dense"):
                y = linear(model, y, width, width)
            y = model.node("Add", y, x)
            with model.scope("LayerNorm"):
                x = layer_norm(model, y, width, EPSILON)
    with model.scope("intermediate"):
        with model.scope("dense"):
            y = linear(model, x, width, size["inner"], gain=2.0)
        with model.scope("intermediate_act_fn"):
            y = gelu_erf(model, y)
    with model.scope("output"):
        with model.scope("dense"):
            y = linear(model, y, size["inner"], width)
        y = model.node("Add", y, x)
        with model.scope("LayerNorm"):
            return layer_norm(model, y, width, EPSILON, out)


def build(name, seed, batch):
    size = SIZES[name]
    model = Model(name, seed, batch, opset=14)
    dims = [model.batch, "sequence"]
    ids, mask, types = (model.input(key, dims, "int64")
                        for key in ("input_ids", "attention_mask", "token_type_ids"))
    mask = _mask(model, mask)
    with model.scope("embeddings"):
        x = _embeddings(model, ids, types, size)
    for index in range(size["layers"]):
        with model.scope("encoder", f"layer.{index}"):
            last = index == size["layers"] - 1
            x = _layer(model, x, mask, size, out="last_hidden_state" if last else None)
    with model.scope("pooler"):
        first = model.node("Gather", x, model.constant(0), axis=1)
        with model.scope("dense"):
            y = gemm(model, first, size["width"], size["width"], gain=0.25)
        model.node("Tanh", y, out="pooler_output")
    model.output("last_hidden_state", dims + [size["width"]])
    model.output("pooler_output", [model.batch, size["width"]])
    return model
