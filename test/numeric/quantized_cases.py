# Quantized products: every remainder of pairs, lanes and rows, extremes of values and zero points.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""As schedule_cases.py. Sums of integers must be exact; what is scaled is computed in f32 here too."""
import itertools

import numpy as np

from schedule_cases import covering
from tracer import Graph

BOUNDS = {"uint8": (0, 255), "int8": (-128, 127)}


def values(g, shape, dtype, kind="any"):
    low, high = BOUNDS[dtype]
    if kind == "low":
        return np.full(shape, low, dtype)
    if kind == "high":
        return np.full(shape, high, dtype)
    if kind == "ends":
        return g.random.choice([low, high], shape).astype(dtype)
    return g.random.integers(low, high + 1, shape).astype(dtype)


def requantize(sums, scale, zero):
    """The f32 result that the integer operators define, to the last bit."""
    low, high = BOUNDS[str(zero.dtype)]
    scaled = np.rint(sums.astype(np.float32) * np.float32(scale))
    return np.clip(scaled + np.float32(zero), low, high).astype(zero.dtype)


def convolve(x, w, strides, pads, dilations, group):
    """Exact sums; `x` is without its zero point, so that padding is 0."""
    x = np.pad(x.astype(np.int64), [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])])
    filters, depth, kh, kw = w.shape
    height = (x.shape[2] - (kh - 1) * dilations[0] - 1) // strides[0] + 1
    width = (x.shape[3] - (kw - 1) * dilations[1] - 1) // strides[1] + 1
    y = np.zeros((x.shape[0], filters, height, width), np.int64)
    each = filters // group
    for f, i, j in itertools.product(range(filters), range(kh), range(kw)):
        part = x[:, f // each * depth:(f // each + 1) * depth,
                 i * dilations[0]:i * dilations[0] + (height - 1) * strides[0] + 1:strides[0],
                 j * dilations[1]:j * dilations[1] + (width - 1) * strides[1] + 1:strides[1]]
        y[:, f] += np.einsum("nchw,c->nhw", part, w[f, :, i, j].astype(np.int64))
    return y.astype(np.int32)


def centred(x, zero, axis=None):
    zero = np.asarray(zero).astype(np.int64)
    if zero.ndim and axis is not None:
        zero = zero.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    return x.astype(np.int64) - zero


def matmul_integer():
    g = Graph("matmul_integer")
    rows, columns = [1, 2, 3, 5, 6, 7, 8, 12, 13, 16, 17], [1, 3, 8, 15, 16, 17, 31, 32, 33, 48, 65]
    depths = [1, 2, 3, 5, 8, 17, 31, 64]
    types = list(itertools.product(BOUNDS, BOUNDS))
    kinds = ["any", "ends", "low", "high"]
    for i, (m, n, k) in enumerate(covering(rows, columns, depths)[::3]):
        left, right = types[i % 4]
        with g.case(f"{left}_{right}_{m}_{n}_{k}"):
            a, b = values(g, (m, k), left, kinds[i % 4]), values(g, (k, n), right, kinds[i // 4 % 4])
            inputs = [g.given(a), g.weight(values=b) if i % 3 else g.given(b)]
            zeros = [0, 0]
            if i % 5 != 4:
                zeros = [np.array(BOUNDS[left][i % 2], left), np.array(BOUNDS[right][i // 2 % 2], right)]
                if i % 5 == 3:
                    zeros[1] = values(g, (n,), right)
                inputs += [g.weight(values=zero) for zero in zeros]
            y = centred(a, zeros[0]) @ centred(b, zeros[1])
            g.output(g.node("MatMulInteger", y.astype(np.int32), *inputs))
    # A batch, and vectors.
    for left, right in [((2, 5, 7), (2, 7, 9)), ((3, 4, 33), (33, 17)), ((9,), (9, 20)), ((4, 9), (9,))]:
        with g.case(f"batch_{len(left)}_{len(right)}"):
            a, b = values(g, left, "uint8"), values(g, right, "int8")
            y = a.astype(np.int64) @ b.astype(np.int64)
            g.output(g.node("MatMulInteger", y.astype(np.int32), g.given(a), g.weight(values=b)))
    return g


def qlinear_matmul():
    g = Graph("qlinear_matmul")
    types = list(itertools.product(BOUNDS, BOUNDS))
    for i, (m, n, k) in enumerate([(1, 10, 64), (3, 33, 17), (12, 32, 5), (17, 65, 40), (6, 16, 1), (13, 24, 33)]):
        left, right = types[i % 4]
        with g.case(f"{left}_{right}_{m}_{n}_{k}"):
            a, b = values(g, (m, k), left), values(g, (k, n), right)
            scales = np.array([0.02, 0.013, 0.11 * np.sqrt(k)], np.float32)
            zeros = [np.array(3, left), np.array(BOUNDS[right][0] + 128, right), np.array(7, left)]
            scale = np.float32(np.float32(scales[0] * scales[1]) / scales[2])
            y = requantize(centred(a, zeros[0]) @ centred(b, zeros[1]), scale, zeros[2])
            constant = [g.weight(values=value) for value in [*scales, *zeros]]
            g.output(g.node("QLinearMatMul", y, g.given(a), constant[0], constant[3],
                            g.weight(values=b), constant[1], constant[4], constant[2], constant[5]))
    return g


CONVOLUTIONS = [
    # channels, filters, group, kernel, other attributes
    (3, 24, 1, (3, 3), dict(strides=[2, 2], pads=[1, 1, 1, 1])),
    (24, 58, 1, (1, 1), {}),
    (17, 33, 1, (1, 1), {}),
    (1, 16, 1, (3, 3), dict(pads=[1, 0, 1, 2])),
    (16, 16, 16, (3, 3), dict(pads=[1, 1, 1, 1])),
    (58, 58, 58, (3, 3), dict(strides=[2, 2], pads=[1, 1, 1, 1])),
    (5, 5, 5, (5, 5), dict(pads=[2, 2, 2, 2])),
    (12, 24, 3, (3, 3), dict(pads=[1, 1, 1, 1])),
    (10, 34, 2, (2, 3), dict(dilations=[2, 1], pads=[0, 1, 2, 1])),
    (8, 12, 1, (3, 3), dict(strides=[1, 2], dilations=[2, 2], pads=[2, 2, 2, 2])),
    (32, 64, 1, (3, 3), dict(pads=[1, 1, 1, 1])),
    (7, 9, 1, (3, 1), {}),
]


def windows(attributes):
    return {"strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], **attributes}


def conv_integer():
    g = Graph("conv_integer")
    types = [("uint8", "uint8"), ("int8", "int8"), ("uint8", "int8")]
    for i, (channels, filters, group, kernel, attributes) in enumerate(CONVOLUTIONS):
        left, right = types[i % 3]
        with g.case(f"conv_{i}"):
            kind = ["any", "ends", "low"][i % 3]
            x = values(g, (1 + i % 2, channels, 9, 11), left, kind)
            w = values(g, (filters, channels // group, *kernel), right, kind)
            zeros = [np.array(BOUNDS[left][i % 2], left), np.array(BOUNDS[right][i // 2 % 2], right)]
            inputs = [g.given(x), g.weight(values=w) if i % 4 != 3 else g.given(w)]
            inputs += [g.weight(values=zero) for zero in zeros]
            y = convolve(centred(x, zeros[0]), centred(w, zeros[1]), group=group, **windows(attributes))
            g.output(g.node("ConvInteger", y, *inputs, group=group, **attributes))
    return g


def qlinear_conv():
    g = Graph("qlinear_conv")
    for i, (channels, filters, group, kernel, attributes) in enumerate(CONVOLUTIONS):
        right = ["int8", "uint8"][i % 2]
        with g.case(f"conv_{i}"):
            x = values(g, (1, channels, 9, 11), "uint8")
            w = values(g, (filters, channels // group, *kernel), right)
            per_channel = right == "int8" and i % 4 == 0
            x_scale = np.float32(0.02)
            w_scale = g.weights.uniform(0.001, 0.02, filters if per_channel else ()).astype(np.float32)
            depth = channels // group * kernel[0] * kernel[1]
            y_scale = np.float32(0.02 * 0.01 * 74 * 74 / 60 * np.sqrt(depth))
            zeros = [np.array(131, "uint8"),
                     np.zeros(filters, right) if per_channel else np.array(BOUNDS[right][0] + 128, right),
                     np.array(120, "uint8")]
            bias = g.random.integers(-9999, 9999, filters).astype(np.int32)
            sums = convolve(centred(x, zeros[0]), centred(w, zeros[1], 0), group=group, **windows(attributes))
            if i % 3:
                sums = sums + bias[None, :, None, None]
            scale = (x_scale * w_scale).astype(np.float32) / y_scale
            y = requantize(sums, scale[:, None, None] if per_channel else scale, zeros[2])
            inputs = [g.given(x), *map(lambda v: g.weight(values=v), [x_scale, zeros[0]]),
                      *map(lambda v: g.weight(values=v), [w, w_scale, zeros[1], y_scale, zeros[2]])]
            if i % 3:
                inputs.append(g.weight(values=bias))
            g.output(g.node("QLinearConv", y, *inputs, group=group, **attributes))
    return g


def quantize(g, x, scale, zero):
    y = np.clip(np.rint((x.array / scale).astype(np.float32)) + np.float32(zero), *BOUNDS[str(zero.dtype)])
    return g.node("QuantizeLinear", y.astype(zero.dtype), x, g.weight(values=np.float32(scale)),
                  g.weight(values=zero))


def dequantize(g, x, scale, zero, axis=None):
    y = centred(x.array, zero, axis).astype(np.float64)
    spread = scale.reshape([-1 if i == axis else 1 for i in range(y.ndim)]) if np.ndim(scale) else scale
    attributes = {} if axis is None else {"axis": axis}
    return g.node("DequantizeLinear", y * spread, x, g.weight(values=scale), g.weight(values=zero),
                  **attributes)


def dequantized():
    """Products of dequantized operands, and quantizations with movement between; the f32 results are
    compared before they are rounded, where a last bit would tell."""
    g = Graph("dequantized")
    scale = np.float32(0.037)
    for i, (m, n, k) in enumerate([(5, 33, 17), (1, 8, 64), (13, 40, 31)]):
        with g.case(f"matmul_{i}"):
            zero = np.array(BOUNDS[["uint8", "int8"][i % 2]][i % 2], ["uint8", "int8"][i % 2])
            x = dequantize(g, g.given(values(g, (m, k), str(zero.dtype))), scale, zero)
            per_channel = i % 2 == 0
            w_scale = g.weights.uniform(0.01, 0.1, n if per_channel else ()).astype(np.float32)
            w_zero = np.zeros(n, np.int8) if per_channel else np.array(-3, np.int8)
            shape = (n, k) if i == 2 else (k, n)
            axis = (0 if i == 2 else 1) if per_channel else None
            w = dequantize(g, g.weight(values=values(g, shape, "int8")), w_scale, w_zero, axis)
            if i == 2:
                w = g.transpose(w, 1, 0)
            g.output(g.add(g.matmul(x, w), g.weight(n)))
    for i in (0, 4, 7):
        channels, filters, group, kernel, attributes = CONVOLUTIONS[i]
        with g.case(f"conv_{i}"):
            raw, weights = values(g, (1, channels, 9, 11), "uint8"), values(g, (filters, channels // group, *kernel), "int8")
            zero = np.array(200, "uint8")
            x = dequantize(g, g.given(raw), scale, zero)
            w_scale = g.weights.uniform(0.01, 0.1, filters).astype(np.float32)
            w = dequantize(g, g.weight(values=weights), w_scale, np.zeros(filters, np.int8), 0)
            y = convolve(centred(raw, zero), weights, group=group, **windows(attributes)).astype(np.float64)
            y = y * scale * w_scale[:, None, None]
            bias = g.weight(filters)
            g.output(g.node("Conv", y + bias.array[:, None, None], x, w, bias, group=group, **attributes))
    with g.case("moved"):
        # Numbers k + 1/4 steps from the zero point: no rounding is close.
        zero = np.array(9, "uint8")
        parts = [g.given((g.random.integers(-9, 200, (1, 4, 3, 5)) + 0.25) * 0.5) for _ in range(2)]
        moved = g.transpose(g.reshape(g.concat(1, *parts), 1, 2, 4, 3, 5), 0, 2, 1, 3, 4)
        q = quantize(g, moved, np.float32(0.5), zero)
        g.output(q)
        again = quantize(g, g.reshape(dequantize(g, q, np.float32(0.5), zero), 8, 15), np.float32(0.5), zero)
        g.output(again)
    return g


def sizes_of_nothing():
    g = Graph("sizes_of_nothing")
    for m, n, k in [(0, 33, 8), (4, 33, 0), (0, 0, 0)]:
        with g.case(f"matmul_{m}_{n}_{k}"):
            a, b = values(g, (m, k), "uint8"), values(g, (k, n), "int8")
            y = (a.astype(np.int64) @ b.astype(np.int64)).astype(np.int32)
            g.output(g.node("MatMulInteger", y, g.given(a), g.weight(values=b)))
    with g.case("conv"):
        x, w = values(g, (0, 8, 6, 6), "uint8"), values(g, (16, 8, 3, 3), "int8")
        g.output(g.node("ConvInteger", np.zeros((0, 16, 4, 4), np.int32), g.given(x), g.weight(values=w)))
    return g


def dynamic_quantized(batch, rows):
    g = Graph("dynamic_quantized", batch=batch, rows=rows)
    with g.case("matmul"):
        a, b = values(g, (batch, rows, 19), "uint8"), values(Graph("fixed"), (19, 37), "int8")
        zero = np.array(77, "uint8")
        y = (centred(a, zero) @ b.astype(np.int64)).astype(np.int32)
        g.output(g.node("MatMulInteger", y, g.given(a, ["batch", "rows", 19]), g.weight(values=b),
                        g.weight(values=zero)), ["batch", "rows", 37])
    with g.case("conv"):
        x, w = values(g, (batch, 6, rows, 9), "int8"), values(Graph("fixed"), (20, 6, 3, 3), "int8")
        y = convolve(x, w, [1, 1], [1] * 4, [1, 1], 1)
        g.output(g.node("ConvInteger", y, g.given(x, ["batch", 6, "rows", 9]), g.weight(values=w),
                        pads=[1] * 4), ["batch", 20, "rows", 9])
    return g


STATIC = [matmul_integer, qlinear_matmul, conv_integer, qlinear_conv, dequantized, sizes_of_nothing]
DYNAMIC = [(dynamic_quantized, [{"batch": 2, "rows": 5}, {"batch": 1, "rows": 1}, {"batch": 3, "rows": 13},
                                {"batch": 0, "rows": 4}])]
