# A tabular network: numeric columns, embedded categories, BatchNormalization on rank 2.
# Licensed under Apache-2.0 WITH LLVM-exception.
from .builder import Model
from .layers import batch_norm, gemm

SIZES = {
    "mlp": dict(numeric=32, categories=(24, 12, 7, 100), width=16, hidden=(512, 256, 128)),
    "tiny-mlp": dict(numeric=6, categories=(5, 3), width=4, hidden=(16, 8)),
}


def build(name, seed, batch):
    size = SIZES[name]
    model = Model(name, seed, batch, opset=13)
    numeric = model.input("numeric", [model.batch, size["numeric"]])
    categories = model.input("categories", [model.batch, len(size["categories"])], "int64")
    parts = []
    for index, count in enumerate(size["categories"]):
        with model.scope("embeddings", f"embeddings.{index}"):
            column = model.node("Gather", categories, model.constant(index), axis=1)
            table = model.parameter("weight", model.normal((count, size["width"]), 0.5))
            parts.append(model.node("Gather", table, column))
    with model.scope("bn_numeric"):
        numeric = batch_norm(model, numeric, size["numeric"])
    x = model.node("Concat", *parts, numeric, axis=1)
    features = size["numeric"] + size["width"] * len(parts)
    for index, width in enumerate(size["hidden"]):
        with model.scope("layers", f"layers.{3 * index}"):
            x = model.node("Relu", gemm(model, x, features, width, gain=2.0))
        with model.scope("layers", f"layers.{3 * index + 2}"):
            x = batch_norm(model, x, width)
        features = width
    with model.scope("head"):
        x = gemm(model, x, features, 1)
    model.node("Sigmoid", x, out="probability")
    model.output("probability", [model.batch, 1])
    return model
