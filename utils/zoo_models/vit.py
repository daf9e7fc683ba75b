# Vision transformer: patches by convolution, class token, joint q/k/v projection, pre-norm.
# Licensed under Apache-2.0 WITH LLVM-exception.
import math

from .builder import Model
from .layers import conv_attributes, gelu_erf, gemm, linear, norm_parameters

SIZES = {
    "vit-b16": dict(image=224, patch=16, width=768, heads=12, layers=12, classes=1000),
    "tiny-vit-b16": dict(image=32, patch=8, width=32, heads=4, layers=2, classes=10),
}


def _norm(model, name, x, width):
    """The operator that exporters write from opset 17 on."""
    with model.scope(name):
        return model.node("LayerNormalization", x, *norm_parameters(model, width), axis=-1,
                          epsilon=1e-6)


def _tokens(model, image, size):
    width, patch = size["width"], size["patch"]
    with model.scope("patch_embed", "proj"):
        weight = model.normal((width, 3, patch, patch), 1.0 / math.sqrt(3 * patch * patch))
        x = model.node("Conv", image, model.parameter("weight", weight),
                       model.parameter("bias", model.normal(width, 0.05)),
                       **conv_attributes(patch, patch, padding=0))
    with model.scope("patch_embed"):
        kept = model.node("Slice", model.node("Shape", x), model.constant([0]),
                          model.constant([2]), model.constant([0]))
        x = model.node("Reshape", x, model.node("Concat", kept, model.constant([-1]), axis=0))
        x = model.node("Transpose", x, perm=[0, 2, 1])
    token = model.parameter("cls_token", model.normal((1, 1, width), 0.5))
    token = model.node("Expand", token, model.shape(model.dim(x, 0), 1, width))
    x = model.node("Concat", token, x, axis=1)
    count = (size["image"] // patch) ** 2 + 1
    return model.node("Add", x, model.parameter("pos_embed", model.normal((1, count, width), 0.3)))


def _attention(model, x, width, heads):
    batch, count = model.dim(x, 0), model.dim(x, 1)
    with model.scope("qkv"):
        y = linear(model, x, width, 3 * width)
    y = model.reshape(y, batch, count, 3, heads, width // heads)
    y = model.node("Transpose", y, perm=[2, 0, 3, 1, 4])
    query, key, value = (model.node("Gather", y, model.constant(index), axis=0)
                         for index in range(3))
    query = model.node("Mul", query, model.constant(1.0 / math.sqrt(width // heads)))
    scores = model.node("MatMul", query, model.node("Transpose", key, perm=[0, 1, 3, 2]))
    y = model.node("MatMul", model.node("Softmax", scores, axis=-1), value)
    y = model.node("Transpose", y, perm=[0, 2, 1, 3])
    y = model.reshape(y, batch, count, width)
    with model.scope("proj"):
        return linear(model, y, width, width)


def build(name, seed, batch):
    size = SIZES[name]
    width = size["width"]
    model = Model(name, seed, batch, opset=17)
    image = model.input("pixel_values", [model.batch, 3, size["image"], size["image"]])
    x = _tokens(model, image, size)
    for index in range(size["layers"]):
        with model.scope("blocks", f"blocks.{index}"):
            y = _norm(model, "norm1", x, width)
            with model.scope("attn"):
                y = _attention(model, y, width, size["heads"])
            x = model.node("Add", x, y)
            y = _norm(model, "norm2", x, width)
            with model.scope("mlp"):
                with model.scope("fc1"):
                    y = linear(model, y, width, 4 * width, gain=2.0)
                with model.scope("act"):
                    y = gelu_erf(model, y)
                with model.scope("fc2"):
                    y = linear(model, y, 4 * width, width, gain=0.5)
            x = model.node("Add", x, y)
    x = _norm(model, "norm", x, width)
    x = model.node("Gather", x, model.constant(0), axis=1)
    with model.scope("head"):
        gemm(model, x, width, size["classes"], out="logits")
    model.output("logits", [model.batch, size["classes"]])
    return model
