# Writes ONNX models of products of 8-bit floats, and data sets that numpy computes.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: device_float8.py FOLDER

Writes FOLDER/test_<case>/model.onnx with a data set: casts to f32 and f16, scales of every kind that goes
behind a product and of some that do not, sizes that fill no step, no tile and no row of a unit, windows with
a border, and NaN, infinities, the largest numbers and the smallest.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "..", "utils"))
from zoo_models import wire
from zoo_models.builder import Model

import numpy as np

random = np.random.default_rng(8)
E4M3, E5M2 = "float8e4m3fn", "float8e5m2"


class Float8:
    """Bytes that are numbers of a type; `numbers` is what they are."""

    def __init__(self, kind, raw):
        self.kind, self.raw, self.shape = kind, np.asarray(raw, np.uint8), np.shape(raw)
        bits = self.raw.astype(np.int64)
        width, bias = (2, 15) if kind == E5M2 else (3, 8 if kind.endswith("uz") else 7)
        exponent, mantissa = (bits & 127) >> width, bits & (1 << width) - 1
        made = np.where(exponent == 0, mantissa * 2.0**(1 - bias - width),
                        ((1 << width) + mantissa) * 2.0**(exponent - bias - width))
        if kind == E5M2:
            made = np.where(exponent == 31, np.where(mantissa == 0, np.inf, np.nan), made)
        elif kind == E4M3:
            made = np.where(bits & 127 == 127, np.nan, made)
        self.numbers = np.where(bits & 128, -made, made)

    def proto(self, name=""):
        proto = wire.Message()
        for dim in self.shape:
            proto.integer(1, dim)
        proto.integer(2, wire.NARROW_DTYPES[self.kind])
        if name:
            proto.data(8, name)
        return proto.data(9, self.raw)


def draw(kind, *shape):
    """Numbers near 1, and below the normal ones."""
    near = np.arange(0x2c, 0x48) if kind != E5M2 else np.arange(0x34, 0x44)
    return Float8(kind, random.choice(np.concatenate([near, near + 128, [0, 1, 130]]), shape))


def write(root, name, model, arrays, results):
    data = os.path.join(root, "test_" + name, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    for kind, values in (("input", arrays), ("output", results)):
        for i, value in enumerate(values):
            proto = value.proto() if isinstance(value, Float8) else wire.tensor(value)
            proto.write(os.path.join(data, f"{kind}_{i}.pb"))
    model.write(os.path.join(root, "test_" + name, "model.onnx"))


def given(model, name, value, dims=None):
    return model.input(name, dims or value.shape, value.kind)


def held(model, name, value):
    model._initializers.append(value.proto(name))
    return name


def product(root, name, a, b, scales=(None, None), axes=(None, None), constant=True, dims=None,
            to="float32", transposed=False):
    """a @ b of 8-bit floats, cast or, where there are scales, dequantized; `axes`: where these lie."""
    model = Model(name, 0, 1, 21)
    wide, operands = [], []
    names = [given(model, "a", a, dims), (held if constant else given)(model, "b", b)]
    for value, operand, scale, axis in zip((a, b), names, scales, axes):
        numbers = value.numbers.astype(np.float32)
        if scale is None:
            operands.append(model.node("Cast", operand, to=wire.DTYPES[to]))
        else:
            scale = np.asarray(scale, to)
            zero = held(model, operand + "_zero", Float8(value.kind, np.zeros(scale.shape)))
            operands.append(model.node("DequantizeLinear", operand, model.constant(scale, to), zero,
                                       **({} if axis is None else {"axis": axis})))
            if axis is not None:
                scale = scale.reshape([-1 if i == axis else 1 for i in range(value.raw.ndim)])
            numbers = numbers * scale.astype(np.float32)
        wide.append(numbers)
    if transposed:
        operands[1] = model.node("Transpose", operands[1], perm=[1, 0])
        wide[1] = wide[1].T
    model.node("MatMul", *operands, out="y")
    with np.errstate(all="ignore"):
        result = (wide[0].astype(np.float64) @ wide[1].astype(np.float64)).astype(to)
    model.output("y", (dims[:-1] if dims else list(result.shape[:-1])) + [result.shape[-1]], to)
    write(root, name, model, [a] if constant else [a, b], [result])


def extremes(root):
    """NaN and infinities, each in a row or column of its own, and sums of the largest numbers."""
    a, b = draw(E5M2, 24, 70), draw(E4M3, 70, 24)
    a.raw[3, 50], a.raw[5, 2], a.raw[7, 69], b.raw[40, 11] = 0x7d, 0x7c, 0xfc, 0x7f
    a.raw[9], b.raw[:, 13], a.raw[11] = 0x7b, 0x7e, 1
    product(root, "extremes", Float8(E5M2, a.raw), Float8(E4M3, b.raw), constant=False)


def widened(root, name, kind):
    """All numbers of a type, times 1: sums of two terms are none for a unit."""
    a = np.zeros((256, 2), np.uint8)
    a[:, 0] = np.arange(256)
    one = 0x3c if kind == E5M2 else 0x38
    b = np.array([[one] * 4, [0] * 4])
    product(root, name, Float8(kind, a), Float8(kind, b), constant=False)


def quantized(root):
    """What a quantizer writes: activations in f32 are made 8-bit floats, beyond the largest too."""
    model = Model("quantized", 0, 1, 21)
    scale = np.float32(0.125)
    numbers = draw(E4M3, 20, 72)
    x = (numbers.numbers * scale).astype(np.float32)
    x[0, 0], numbers.raw[0, 0] = 1e9, 0x7e
    w, steps = draw(E4M3, 72, 40), random.uniform(0.5, 2, 40).astype(np.float32)
    model.input("x", x.shape)
    zero, step = held(model, "zero", Float8(E4M3, 0)), model.constant(scale)
    q = model.node("QuantizeLinear", "x", step, zero)
    a = model.node("DequantizeLinear", q, step, zero)
    b = model.node("DequantizeLinear", held(model, "w", w), model.constant(steps), axis=1)
    bias = np.linspace(-1, 1, 40).astype(np.float32)
    model.node("Gemm", a, b, model.constant(bias), out="y")
    model.output("y", [20, 40])
    result = Float8(E4M3, numbers.raw).numbers * scale @ (w.numbers * steps) + bias
    write(root, "quantized", model, [x], [result.astype(np.float32)])


def convolution(root):
    model = Model("border", 0, 1, 21)
    x, w = draw(E4M3, 1, 16, 9, 9), draw(E4M3, 24, 16, 3, 3)
    steps = random.uniform(0.5, 2, 24).astype(np.float32)
    a = model.node("DequantizeLinear", given(model, "x", x), model.constant(np.float32(0.5)))
    b = model.node("DequantizeLinear", held(model, "w", w), model.constant(steps), axis=0)
    bias = np.linspace(-1, 1, 24).astype(np.float32)
    model.node("Conv", a, b, model.constant(bias), out="y", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    padded = np.pad(x.numbers * 0.5, [(0, 0), (0, 0), (1, 1), (1, 1)])
    weights = w.numbers * steps.reshape(-1, 1, 1, 1)
    result = sum(np.einsum("nchw,oc->nohw", padded[:, :, i:i + 9, j:j + 9], weights[:, :, i, j])
                 for i in range(3) for j in range(3)) + bias.reshape(-1, 1, 1)
    model.output("y", result.shape)
    write(root, "border", model, [x], [result.astype(np.float32)])


def main(root):
    product(root, "cast", draw(E4M3, 33, 77), draw(E5M2, 77, 35))
    product(root, "half", draw(E4M3, 16, 96), draw(E4M3, 96, 24), to="float16")
    product(root, "row", draw(E4M3, 1, 77), draw(E4M3, 77, 35), (0.25, 2.0))
    product(root, "batched", draw(E5M2, 3, 19, 40), draw(E5M2, 3, 40, 21), constant=False)
    product(root, "open", draw(E4M3, 20, 64), draw(E4M3, 64, 48), (0.5, None), dims=["rows", 64])
    product(root, "columns", draw(E4M3, 40, 65), draw(E4M3, 72, 65),
            (0.5, random.uniform(0.5, 2, 72)), (None, 0), transposed=True)
    product(root, "rows", draw(E4M3, 18, 33), draw(E5M2, 33, 19),
            (random.uniform(0.5, 2, 18), 4.0), (0, None), constant=False)
    product(root, "along", draw(E4M3, 18, 33), draw(E4M3, 33, 19),
            (None, random.uniform(0.5, 2, 33)), (None, 0), constant=False)
    product(root, "other", draw(E4M3 + "uz", 18, 33), draw(E4M3 + "uz", 33, 19), constant=False)
    extremes(root)
    widened(root, "all-e4m3", E4M3)
    widened(root, "all-e5m2", E5M2)
    quantized(root)
    convolution(root)


main(sys.argv[1])
