# Operators with weights, and others that models are layered of, as operators.py does the rest.
# Licensed under Apache-2.0 WITH LLVM-exception.
import math

import numpy as np

from .graph import FLOATS


def _wide(array):
    return array.astype(np.float64)


def _like(result, value):
    return np.asarray(result).astype(value.dtype)


def activation(graph):
    alpha = 0.25
    table = {"LeakyRelu": lambda x: np.where(x < 0, alpha * x, x),
             "Elu": lambda x: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x),
             "ThresholdedRelu": lambda x: np.where(x > alpha, x, 0),
             "HardSigmoid": lambda x: np.clip(alpha * x + 0.5, 0, 1)}
    name = str(graph.random.choice(list(table)))
    # A threshold tells values apart that two right answers may put on either side.
    value = graph.pick(*FLOATS, finite=True, exact=name == "ThresholdedRelu")
    return graph.node(name, [value], [_like(table[name](_wide(value.array)), value)], False,
                      alpha=alpha)


def p_relu(graph):
    value = graph.pick("float32", least=1, finite=True)
    shape = tuple(1 if graph.chance(0.5) else size for size in value.shape)
    slope = graph.source("float32", shape[graph.random.integers(0, len(shape)):])
    if not slope.finite:
        return None
    x = _wide(value.array)
    return graph.node("PRelu", [value, slope], [_like(np.where(x < 0, slope.array * x, x), value)],
                      False)


def power(graph):
    value = graph.pick(*FLOATS, finite=True)
    exponent = float(graph.random.choice([2, 3, 0.5, -1, 0, 1]))
    x = _wide(value.array)
    if np.abs(x).max(initial=0) > 100 or (exponent in (0.5, -1) and x.min(initial=1) < 0.1):
        return None
    return graph.node("Pow", [value, graph.constant(np.asarray(exponent, value.dtype))],
                      [_like(x ** exponent, value)], False)


def log_sum_exp(graph):
    value = graph.pick(*FLOATS, least=1, finite=True, filled=True)
    axis = graph.axis(value)
    x = _wide(value.array)
    high = x.max(axis, keepdims=True)
    result = np.log(np.exp(x - high).sum(axis, keepdims=True)) + high
    return graph.node("ReduceLogSumExp", [value, graph.integers([axis])], [_like(result, value)],
                      False, keepdims=1)


def batch_norm(graph):
    value = graph.pick("float32", least=2, finite=True, filled=True)
    channels = value.shape[1]
    scale, bias, mean = (graph.source("float32", (channels,)) for _ in range(3))
    variance = graph.constant(((graph.random.integers(1, 9, channels)) / 4).astype("float32"))
    if not (scale.finite and bias.finite and mean.finite):
        return None

    def along(parameter):
        return _wide(parameter.array).reshape((1, channels) + (1,) * (len(value.shape) - 2))
    result = (_wide(value.array) - along(mean)) / np.sqrt(along(variance) + 1e-3) * along(scale)
    return graph.node("BatchNormalization", [value, scale, bias, mean, variance],
                      [_like(result + along(bias), value)], False, epsilon=1e-3)


def instance_norm(graph):
    value = graph.pick("float32", least=3, finite=True, filled=True)
    axes = tuple(range(2, len(value.shape)))
    x = _wide(value.array)
    variance = x.var(axes, keepdims=True)
    if np.abs(x).max(initial=0) > 1000 or np.any((variance < 0.05) & (variance > 0)):
        return None
    channels = value.shape[1]
    scale, bias = graph.source("float32", (channels,)), graph.source("float32", (channels,))
    if not (scale.finite and bias.finite):
        return None
    shape = (1, channels) + (1,) * len(axes)
    result = (x - x.mean(axes, keepdims=True)) / np.sqrt(variance + 1e-2)
    result = result * scale.array.reshape(shape) + bias.array.reshape(shape)
    return graph.node("InstanceNormalization", [value, scale, bias], [_like(result, value)], False,
                      epsilon=1e-2)


def gather_nd(graph):
    value = graph.pick(*FLOATS, "int64", least=1, filled=True)
    depth = int(graph.random.integers(1, len(value.shape) + 1))
    indices = graph.constant(np.zeros((*graph.shape(0, 2), depth), np.int64))
    indices.array = np.stack([graph.random.integers(-size, size, indices.shape[:-1])
                              for size in value.shape[:depth]], -1).astype(np.int64)
    return graph.node("GatherND", [value, indices],
                      [value.array[tuple(np.moveaxis(indices.array, -1, 0))]])


def scatter_nd(graph):
    value = graph.pick(*FLOATS, least=1, filled=True)
    depth = int(graph.random.integers(1, len(value.shape) + 1))
    places = int(np.prod(value.shape[:depth]))
    chosen = graph.random.permutation(places)[:graph.random.integers(0, min(places, 12) + 1)]
    indices = graph.constant(np.zeros((len(chosen), depth), np.int64))
    indices.array = np.stack(np.unravel_index(chosen, value.shape[:depth]), -1).astype(np.int64)
    updates = graph.source(value.dtype, (len(chosen), *value.shape[depth:]))
    result = value.array.copy()
    result[tuple(indices.array.T)] = updates.array
    return graph.node("ScatterND", [value, indices, updates], [result])


def conv_transpose(graph):
    value = graph.pick("float32", rank=4, finite=True, filled=True)
    n, c, h, w = value.shape
    if c > 8 or h * w > 200:
        return None
    group = int(graph.random.choice([g for g in range(1, c + 1) if c % g == 0]))
    out = int(graph.random.integers(1, 4))
    kernel = [int(k) for k in graph.random.integers(1, 4, 2)]
    strides = [int(s) for s in graph.random.integers(1, 3, 2)]
    dilations = [int(d) for d in graph.random.integers(1, 3, 2)]
    extra = [int(graph.random.integers(0, s)) for s in strides]
    weight = graph.source("float32", (c, out, *kernel))
    bias = graph.source("float32", (group * out,))
    if not (weight.finite and bias.finite):
        return None
    full = [(size - 1) * s + (k - 1) * d + 1 + e
            for size, s, k, d, e in zip((h, w), strides, kernel, dilations, extra)]
    result = np.zeros((n, group * out, *full))
    x = _wide(value.array)
    for g in range(group):
        part = slice(g * c // group, (g + 1) * c // group)
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                rows = slice(i * dilations[0], i * dilations[0] + (h - 1) * strides[0] + 1, strides[0])
                columns = slice(j * dilations[1], j * dilations[1] + (w - 1) * strides[1] + 1,
                                strides[1])
                result[:, g * out:(g + 1) * out, rows, columns] += np.einsum(
                    "nchw,co->nohw", x[:, part], weight.array[part, :, i, j])
    pads = [int(p) for p in graph.random.integers(0, 2, 4)]
    kept = result[:, :, pads[0]:full[0] - pads[2], pads[1]:full[1] - pads[3]]
    if 0 in kept.shape:
        return None
    return graph.node("ConvTranspose", [value, weight, bias],
                      [_like(kept + bias.array[:, None, None], value)], False, group=group,
                      kernel_shape=kernel, strides=strides, dilations=dilations, pads=pads,
                      output_padding=extra)


def resize(graph):
    value = graph.pick("float32", rank=4, finite=True, filled=True)
    sizes = [max(1, graph.size()) for _ in range(2)]
    if np.prod(value.shape[:2]) * np.prod(sizes) > 20000:
        return None
    result = _wide(value.array)
    linear = graph.chance(0.5)
    for axis, size in zip((2, 3), sizes):
        have = value.shape[axis]
        at = np.arange(size) * have / size
        if linear:
            at = np.clip((np.arange(size) + 0.5) * have / size - 0.5, 0, have - 1)
        low = np.floor(at + (0 if linear else 1e-9)).astype(int)
        high = np.minimum(low + 1, have - 1)
        part = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        near = np.take(result, low, axis)
        result = near * (1 - part) + np.take(result, high, axis) * part if linear else near
    attributes = (dict(mode="linear", coordinate_transformation_mode="half_pixel") if linear else
                  dict(mode="nearest", coordinate_transformation_mode="asymmetric",
                       nearest_mode="floor"))
    inputs = [value, None, None, graph.integers([*value.shape[:2], *sizes])]
    return graph.node("Resize", inputs, [_like(result, value)], False if linear else None,
                      **attributes)


def recurrent(graph):
    """An LSTM or GRU in one or both directions, sometimes with lengths."""
    value = graph.pick("float32", rank=3, finite=True, filled=True)
    steps, batch, size = value.shape
    if steps > 20 or np.abs(value.array).max(initial=0) > 20:
        return None
    lstm, hidden = bool(graph.chance(0.5)), int(graph.random.choice([1, 3, 5, 8]))
    directions = int(graph.random.choice([1, 2]))
    gates = 4 if lstm else 3
    w, r, b = (graph.constant((graph.random.integers(-8, 9, shape) / 16).astype("float32")) for shape in (
        (directions, gates * hidden, size), (directions, gates * hidden, hidden),
        (directions, 2 * gates * hidden)))

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))
    y = np.zeros((steps, directions, batch, hidden))
    last = np.zeros((directions, batch, hidden))
    for d in range(directions):
        h = np.zeros((batch, hidden))
        c = np.zeros((batch, hidden))
        wb, rb = np.split(_wide(b.array[d]), 2)
        for t in (range(steps) if d == 0 else reversed(range(steps))):
            given = _wide(value.array[t]) @ w.array[d].T + wb
            if lstm:
                i, o, f, g = np.split(given + h @ r.array[d].T + rb, 4, 1)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
            else:
                wz, wr, wh = np.split(given, 3, 1)
                rz, rr, rh = np.split(h @ r.array[d].T + rb, 3, 1)
                z = sigmoid(wz + rz)
                # linear_before_reset = 1
                candidate = np.tanh(wh + sigmoid(wr + rr) * rh)
                h = (1 - z) * candidate + z * h
            y[t, d] = h
        last[d] = h
    attributes = {} if lstm else {"linear_before_reset": 1}
    if directions == 2:
        attributes["direction"] = "bidirectional"
    return graph.node("LSTM" if lstm else "GRU", [value, w, r, b], [_like(y, value), _like(last, value)],
                      False, hidden_size=hidden, **attributes)


def gelu(graph):
    """As exporters write it before opset 20."""
    value = graph.pick("float32", finite=True)
    x = _wide(value.array)
    if np.abs(x).max(initial=0) > 30:
        return None
    root = graph.constant(np.asarray(math.sqrt(2), "float32"))
    scaled = graph.node("Div", [value, root], [_like(x / math.sqrt(2), value)], False)
    erf = np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))
    curve = graph.node("Erf", [scaled], [_like(erf, value)], False)
    one = graph.constant(np.asarray(1, "float32"))
    more = graph.node("Add", [curve, one], [_like(erf + 1, value)], False)
    product = graph.node("Mul", [value, more], [_like(x * (erf + 1), value)], False)
    return graph.node("Mul", [product, graph.constant(np.asarray(0.5, "float32"))],
                      [_like(x * (erf + 1) / 2, value)], False)


ALL = [activation, p_relu, power, log_sum_exp, batch_norm, instance_norm, gather_nd, scatter_nd,
       conv_transpose, resize, recurrent, gelu]
