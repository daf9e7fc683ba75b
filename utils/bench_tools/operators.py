# Single operators in the shapes of well-known networks, as models of one to three nodes.
# Licensed under Apache-2.0 WITH LLVM-exception.
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from zoo_models.builder import Model  # noqa: E402


def matmul(m, k, n):
    def build(model):
        x = model.input("x", [m, k])
        model.node("MatMul", x, model.parameter("w", model.normal((k, n), k ** -0.5)), out="y")
        model.output("y", [m, n])
    return build


def matmul_inputs(m, k, n, turned=False):
    """Both operands are known only when running."""
    def build(model):
        a, b = model.input("a", [m, k]), model.input("b", [n, k] if turned else [k, n])
        model.node("MatMul", a, model.node("Transpose", b, perm=[1, 0]) if turned else b, out="y")
        model.output("y", [m, n])
    return build


def max_pool(channels, size, kernel, stride):
    def build(model):
        x = model.input("x", [1, channels, size, size])
        model.node("MaxPool", x, out="y", kernel_shape=[kernel, kernel], strides=[stride, stride],
                   pads=[kernel // 2] * 4)
        result = (size + 2 * (kernel // 2) - kernel) // stride + 1
        model.output("y", [1, channels, result, result])
    return build


def conv(channels, filters, size, kernel, stride=1, group=1):
    def build(model):
        x = model.input("x", [1, channels, size, size])
        deviation = (channels // group * kernel * kernel) ** -0.5
        w = model.parameter("w", model.normal((filters, channels // group, kernel, kernel),
                                              deviation))
        pad = kernel // 2
        x = model.node("Conv", x, w, kernel_shape=[kernel, kernel], pads=[pad] * 4,
                       strides=[stride, stride], group=group)
        model.node("Relu", x, out="y")
        result = (size + 2 * pad - kernel) // stride + 1
        model.output("y", [1, filters, result, result])
    return build


def attention(heads, rows, size):
    def build(model):
        q = model.input("q", [1, heads, rows, size])
        k = model.input("k", [1, heads, rows, size])
        v = model.input("v", [1, heads, rows, size])
        scores = model.node("MatMul", q, model.node("Transpose", k, perm=[0, 1, 3, 2]))
        scores = model.node("Mul", scores, model.constant(size ** -0.5))
        model.node("MatMul", model.node("Softmax", scores, axis=-1), v, out="y")
        model.output("y", [1, heads, rows, size])
    return build


def layer_norm(rows, width):
    def build(model):
        x = model.input("x", [rows, width])
        scale = model.parameter("scale", model.normal((width,), 0.1) + np.float32(1))
        shift = model.parameter("shift", model.normal((width,), 0.1))
        model.node("LayerNormalization", x, scale, shift, out="y", axis=-1, epsilon=1e-5)
        model.output("y", [rows, width])
    return build


def gelu(model, x, out):
    """As PyTorch exports it."""
    erf = model.node("Erf", model.node("Mul", x, model.constant(0.5 ** 0.5)))
    half = model.node("Mul", x, model.constant(0.5))
    model.node("Mul", half, model.node("Add", erf, model.constant(1.0)), out=out)


def elementwise(op, rows, width, **attributes):
    def build(model):
        x = model.input("x", [rows, width])
        if op == "Gelu":
            gelu(model, x, "y")
        else:
            model.node(op, x, out="y", **attributes)
        model.output("y", [rows, width])
    return build


def reduce(op, rows, width):
    def build(model):
        x = model.input("x", [rows, width])
        model.node(op, x, out="y", axes=[1], keepdims=0)
        model.output("y", [rows])
    return build


def transpose(shape, permutation):
    def build(model):
        x = model.input("x", list(shape))
        model.node("Transpose", x, out="y", perm=list(permutation))
        model.output("y", [shape[i] for i in permutation])
    return build


def linear_gelu(m, k, n):
    def build(model):
        x = model.input("x", [m, k])
        x = model.node("MatMul", x, model.parameter("w", model.normal((k, n), k ** -0.5)))
        gelu(model, model.node("Add", x, model.parameter("b", model.normal((n,), 0.1))), "y")
        model.output("y", [m, n])
    return build


MATMULS = [(512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (128, 768, 768),
           (197, 768, 768), (128, 3072, 768), (128, 768, 3072), (16, 768, 768), (49, 512, 512),
           (8, 4096, 4096), (1, 4096, 4096), (1, 768, 3072),
           # odd ones
           (3, 768, 768), (5, 512, 1000), (13, 256, 100), (17, 300, 77), (100, 147, 24),
           (33, 24, 144)]
# Of two inputs.
INPUTS = [(512, 512, 512), (1024, 1024, 1024), (128, 768, 3072), (64, 1024, 1024), (16, 1024, 1024),
          (1000, 1000, 1000), (37, 700, 331)]
CONVS = [(64, 64, 56, 3), (128, 128, 28, 3), (256, 256, 14, 3), (512, 512, 7, 3),
         (256, 64, 56, 1), (64, 256, 56, 1), (1024, 256, 14, 1), (256, 1024, 14, 1),
         (3, 64, 224, 7, 2), (24, 144, 56, 1), (144, 24, 56, 1), (3, 32, 224, 3, 2)]
DEPTHWISE = [(128, 56), (512, 14), (144, 56), (24, 112)]

OPERATORS = {
    **{f"matmul {m}x{k}x{n}": matmul(m, k, n) for m, k, n in MATMULS},
    **{f"matmul of inputs {m}x{k}x{n}": matmul_inputs(m, k, n) for m, k, n in INPUTS},
    "matmul of inputs 1024x1024x1024 turned": matmul_inputs(1024, 1024, 1024, turned=True),
    "matmul+gelu 128x768x3072": linear_gelu(128, 768, 3072),
    **{f"conv {c[3]}x{c[3]} {c[0]}-{c[1]}@{c[2]}" + (f" s{c[4]}" if len(c) > 4 else ""): conv(*c)
       for c in CONVS},
    **{f"depthwise 3x3 {c}@{size}": conv(c, c, size, 3, group=c) for c, size in DEPTHWISE},
    "max pool 3x3 64@112 s2": max_pool(64, 112, 3, 2),
    "max pool 3x3 64@56 s1": max_pool(64, 56, 3, 1),
    "attention 12x128x64": attention(12, 128, 64),
    "attention 12x512x64": attention(12, 512, 64),
    "layer norm 128x768": layer_norm(128, 768),
    "softmax 1536x128": elementwise("Softmax", 1536, 128, axis=-1),
    "softmax 768x1024": elementwise("Softmax", 768, 1024, axis=-1),
    **{f"{op.lower()} 128x3072": elementwise(op, 128, 3072)
       for op in ("Gelu", "Erf", "Exp", "Sigmoid", "Tanh")},
    "relu 1024x4096": elementwise("Relu", 1024, 4096),
    "reduce mean 1024x4096": reduce("ReduceMean", 1024, 4096),
    "reduce max 4096x128": reduce("ReduceMax", 4096, 128),
    "transpose 1024x1024": transpose((1024, 1024), (1, 0)),
    "transpose 64x56x56 nchw-nhwc": transpose((1, 64, 56, 56), (0, 2, 3, 1)),
    "transpose 128x12x64 heads": transpose((128, 12, 64), (1, 0, 2)),
}


def write(name, build, out):
    path = os.path.join(out, name.replace(" ", "-").replace("+", "-") + ".onnx")
    if not os.path.exists(path):
        model = Model(name, 0, 1, opset=17)
        build(model)
        model.write(path)
    return path
