# A sequence tagger: embedding, two bidirectional LSTM layers, a linear layer, LogSoftmax.
# Licensed under Apache-2.0 WITH LLVM-exception.
import math

from .builder import Model
from .layers import linear

SIZES = {
    "lstm-tagger": dict(words=8000, width=128, hidden=128, layers=2, tags=17),
    "tiny-lstm-tagger": dict(words=50, width=8, hidden=6, layers=2, tags=5),
}


def _bidirectional(model, x, layer, width, hidden):
    """One layer; the initial state is zeros of a size that is only known when running."""
    def weights(rows, columns):
        return model.normal((2, 4 * rows, columns), 1.0 / math.sqrt(columns))

    batch = model.dim(x, 1)
    zeros = [model.node("Expand", model.constant(0.0), model.shape(2, batch, hidden))
             for _ in range(2)]
    y = model.node("LSTM", x, model.folded("LSTM", weights(hidden, width)),
                   model.folded("LSTM", weights(hidden, hidden)),
                   model.folded("LSTM", model.normal((2, 8 * hidden), 0.1)), "", *zeros,
                   direction="bidirectional", hidden_size=hidden, results=3)[0]
    y = model.node("Transpose", y, perm=[0, 2, 1, 3])
    return model.node("Reshape", y, model.constant([0, 0, -1]))


def build(name, seed, batch):
    size = SIZES[name]
    model = Model(name, seed, batch, opset=14)
    tokens = model.input("tokens", [model.batch, "sequence"], "int64")
    with model.scope("embedding"):
        table = model.parameter("weight", model.normal((size["words"], size["width"]), 0.7))
        x = model.node("Gather", table, tokens)
    with model.scope("lstm"):
        x = model.node("Transpose", x, perm=[1, 0, 2])
        for layer in range(size["layers"]):
            width = 2 * size["hidden"] if layer else size["width"]
            x = _bidirectional(model, x, layer, width, size["hidden"])
        x = model.node("Transpose", x, perm=[1, 0, 2])
    with model.scope("hidden2tag"):
        x = linear(model, x, 2 * size["hidden"], size["tags"], gain=4.0)
    model.node("LogSoftmax", x, axis=-1, out="scores")
    model.output("scores", [model.batch, "sequence", size["tags"]])
    return model
