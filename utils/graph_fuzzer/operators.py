# What the fuzzer can add to a graph: each operator with its meaning in numpy.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""Functions take a graph and add one node; they return None where they found nothing to do it with.
Floating-point results are computed in double precision and rounded once."""
import math

import numpy as np

from . import layers, oracle
from .graph import FLOATS, INTEGERS, SMALL

NUMBERS = FLOATS + INTEGERS


def _wide(array):
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _like(result, value):
    return np.asarray(result).astype(value.dtype)


def unary(graph):
    exact = {"Neg": np.negative, "Abs": np.abs, "Relu": lambda x: np.where(x < 0, 0, x),
             "Identity": lambda x: x}
    smooth = {"Exp": lambda x: np.exp(np.clip(x, None, 80)), "Tanh": np.tanh, "Sin": np.sin,
              "Cos": np.cos, "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
              "Softplus": lambda x: np.logaddexp(x, 0), "Atan": np.arctan,
              "Erf": np.vectorize(math.erf, otypes=[float]),
              "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
              "Softsign": lambda x: x / (1 + np.abs(x))}
    steps = {"Floor": np.floor, "Ceil": np.ceil, "Round": np.round, "Sign": np.sign}
    if graph.chance(0.4):
        value = graph.pick(*FLOATS, finite=True)
        name = str(graph.random.choice(list(smooth)))
        if np.abs(value.array).max(initial=0) > 30:
            return None
        return graph.node(name, [value], [_like(smooth[name](_wide(value.array)), value)], False)
    if graph.chance(0.3):
        value = graph.pick(*FLOATS, exact=True, finite=True)
        name = str(graph.random.choice(list(steps)))
        return graph.node(name, [value], [_like(steps[name](value.array), value)])
    name = str(graph.random.choice(list(exact)))
    value = graph.pick(*NUMBERS)
    if name == "Relu" and value.dtype not in FLOATS:
        return None
    return graph.node(name, [value], [_like(exact[name](value.array), value)])


def _partner(graph, value):
    """Something that broadcasts with a value."""
    shape = list(value.shape)
    if graph.chance(0.3):
        shape = shape[graph.random.integers(0, len(shape) + 1):]
    shape = [1 if graph.chance(0.25) else size for size in shape]
    same = [other for other in graph.values
            if other.dtype == value.dtype and other.shape == value.shape]
    if same and graph.chance(0.5):
        return same[graph.random.integers(len(same))]
    return graph.source(value.dtype, tuple(shape))


def binary(graph):
    table = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Max": np.maximum,
             "Min": np.minimum}
    name = str(graph.random.choice(list(table)))
    value = graph.pick(*NUMBERS)
    other = _partner(graph, value)
    pair = [value, other] if graph.chance(0.5) else [other, value]
    if value.dtype in INTEGERS and max(np.abs(pair[0].array).max(initial=0),
                                       np.abs(pair[1].array).max(initial=0)) > 10000:
        return None
    result = table[name](_wide(pair[0].array), _wide(pair[1].array))
    exact = None if name in ("Max", "Min") or value.dtype in INTEGERS else (
        name != "Mul" and pair[0].exact and pair[1].exact
        and np.abs(result[np.isfinite(result)]).max(initial=0) < 1000)
    return graph.node(name, pair, [_like(result, value)], exact)


def divide(graph):
    value = graph.pick(*FLOATS, finite=True)
    other = graph.source(value.dtype, value.shape)
    other.array = np.where(np.abs(np.nan_to_num(other.array, posinf=1, neginf=1)) < 0.5, 1,
                           np.nan_to_num(other.array, posinf=1, neginf=1)).astype(value.dtype)
    other.finite = True
    return graph.node("Div", [value, other],
                      [_like(_wide(value.array) / _wide(other.array), value)], False)


def integer_divide(graph):
    value = graph.pick(*INTEGERS)
    other = graph.source(value.dtype, value.shape)
    other.array = np.where(other.array == 0, 3, other.array).astype(value.dtype)
    quotient = np.trunc(value.array / other.array)
    if np.abs(value.array).max(initial=0) > 2 ** 40:
        return None
    if graph.chance(0.5):
        return graph.node("Div", [value, other], [_like(quotient, value)])
    return graph.node("Mod", [value, other], [_like(np.mod(value.array, other.array), value)])


def compare(graph):
    table = {"Less": np.less, "Greater": np.greater, "Equal": np.equal,
             "LessOrEqual": np.less_equal, "GreaterOrEqual": np.greater_equal}
    name = str(graph.random.choice(list(table)))
    value = graph.pick(*NUMBERS, exact=True)
    other = _partner(graph, value)
    if not other.exact:
        return None
    return graph.node(name, [value, other], [table[name](value.array, other.array)])


def logical(graph):
    value = graph.pick("bool")
    if graph.chance(0.3):
        return graph.node("Not", [value], [~value.array])
    table = {"And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor}
    name = str(graph.random.choice(list(table)))
    other = _partner(graph, value)
    return graph.node(name, [value, other], [table[name](value.array, other.array)])


def where(graph):
    value = graph.pick(*NUMBERS)
    other, condition = _partner(graph, value), graph.source("bool", value.shape)
    return graph.node("Where", [condition, value, other],
                      [np.where(condition.array, value.array, other.array)])


def cast(graph):
    value = graph.pick(*NUMBERS, *SMALL, "bool", exact=True, finite=True)
    to = str(graph.random.choice([*NUMBERS, "bool"]))
    if to == value.dtype or np.abs(_wide(value.array)).max(initial=0) > 2 ** 24:
        return None
    from zoo_models import wire
    return graph.node("Cast", [value], [value.array.astype(to)], to=wire.DTYPES[to])


def clip(graph):
    value = graph.pick(*NUMBERS)
    low = graph.constant(np.asarray(-1, value.dtype)) if graph.chance(0.7) else None
    high = graph.constant(np.asarray(2, value.dtype)) if graph.chance(0.7) or not low else None
    result = value.array
    if low:
        result = np.where(result < low.array, low.array, result)
    if high:
        result = np.where(result > high.array, high.array, result)
    return graph.node("Clip", [value, low] + ([high] if high else []), [_like(result, value)])


# ---- Movement


def transpose(graph):
    value = graph.pick(*NUMBERS, "bool", *SMALL)
    perm = [int(i) for i in graph.random.permutation(len(value.shape))]
    return graph.node("Transpose", [value], [value.array.transpose(perm)], perm=perm) if perm else None


def reshape(graph):
    value = graph.pick(*NUMBERS, "bool", *SMALL, filled=True)
    rest, shape = value.array.size, []
    while rest > 1 and len(shape) < 4:
        divisors = [d for d in range(1, rest + 1) if rest % d == 0]
        shape.append(int(graph.random.choice(divisors)))
        rest //= shape[-1]
    shape.append(rest)
    result = value.array.reshape(shape)
    if graph.chance(0.5):
        shape[graph.random.integers(len(shape))] = -1
    return graph.node("Reshape", [value, graph.integers(shape)], [result])


def squeeze(graph):
    value = graph.pick(*NUMBERS, least=1)
    ones = [i for i, size in enumerate(value.shape) if size == 1]
    if ones and graph.chance(0.5):
        axis = int(graph.random.choice(ones))
        given = axis - len(value.shape) if graph.chance(0.5) else axis
        return graph.node("Squeeze", [value, graph.integers([given])], [value.array.squeeze(axis)])
    axis = int(graph.random.integers(-len(value.shape) - 1, len(value.shape) + 1))
    return graph.node("Unsqueeze", [value, graph.integers([axis])],
                      [np.expand_dims(value.array, axis)])


def flatten(graph):
    value = graph.pick(*NUMBERS, least=1)
    axis = int(graph.random.integers(0, len(value.shape) + 1))
    rows = int(np.prod(value.shape[:axis], dtype=np.int64))
    columns = int(np.prod(value.shape[axis:], dtype=np.int64))
    return graph.node("Flatten", [value], [value.array.reshape(rows, columns)], axis=axis)


def concat(graph):
    value = graph.pick(*NUMBERS, least=1)
    axis = graph.axis(value)
    parts = [value]
    for _ in range(graph.random.integers(1, 4)):
        shape = list(value.shape)
        shape[axis] = graph.size()
        parts.append(value if graph.chance(0.3) else graph.source(value.dtype, tuple(shape)))
    return graph.node("Concat", parts, [np.concatenate([part.array for part in parts], axis)],
                      axis=axis)


def split(graph):
    value = graph.pick(*NUMBERS, least=1)
    axis = graph.axis(value)
    size = value.shape[axis]
    first = int(graph.random.integers(0, size + 1))
    parts = np.split(value.array, [first], axis)
    return graph.node("Split", [value, graph.integers([first, size - first])], parts, axis=axis)


def slice_(graph):
    value = graph.pick(*NUMBERS, "bool", least=1)
    count = int(graph.random.integers(1, len(value.shape) + 1))
    axes = [int(i) for i in graph.random.permutation(len(value.shape))[:count]]
    starts, ends, steps, index = [], [], [], [slice(None)] * len(value.shape)
    for axis in axes:
        size, step = value.shape[axis], int(graph.random.choice([1, 1, 2, 3, -1, -2]))
        start = int(graph.random.integers(-size - 1, size + 2))
        end = int(graph.random.choice([graph.random.integers(-size - 2, size + 3),
                                       2 ** 40 if step > 0 else -(2 ** 40)]))
        # ONNX clamps; Python's slices do the same once negative numbers are counted from the end.
        begin = min(max(start + size if start < 0 else start, 0), size if step > 0 else size - 1)
        stop = end + size if end < 0 else end
        stop = min(max(stop, 0), size) if step > 0 else min(max(stop, -1), size - 1)
        index[axis] = slice(begin, None if stop < 0 else stop, step) if size else slice(0, 0)
        starts.append(start)
        ends.append(end)
        steps.append(step)
    given = [axis - len(value.shape) if graph.chance(0.3) else axis for axis in axes]
    lists = [graph.integers(item) for item in (starts, ends, given, steps)]
    return graph.node("Slice", [value, *lists], [value.array[tuple(index)]])


def pad(graph):
    value = graph.pick(*FLOATS, least=1, filled=True)
    mode = str(graph.random.choice(["constant", "edge", "reflect", "wrap"]))
    most = [2 if mode == "constant" else max(size - 1, 0) for size in value.shape]
    before = [int(graph.random.integers(0, min(m, 3) + 1)) for m in most]
    after = [int(graph.random.integers(0, min(m, 3) + 1)) for m in most]
    inputs = [value, graph.integers(before + after)]
    if mode == "constant":
        number = graph.constant(np.asarray(1.5, value.dtype))
        result = np.pad(value.array, list(zip(before, after)), constant_values=number.array)
        return graph.node("Pad", [*inputs, number], [result])
    if mode == "wrap":
        return None  # since opset 19
    return graph.node("Pad", inputs, [np.pad(value.array, list(zip(before, after)), mode)],
                      mode=mode)


def expand(graph):
    value = graph.pick(*NUMBERS)
    shape = [graph.size() if size == 1 else size for size in value.shape]
    shape = [graph.size()] * int(graph.chance(0.3)) + shape
    if np.prod(shape, dtype=np.int64) > 20000:
        return None
    return graph.node("Expand", [value, graph.integers(shape)], [np.broadcast_to(value.array, shape)])


def tile(graph):
    value = graph.pick(*NUMBERS, least=1)
    repeats = [int(graph.random.choice([1, 1, 2, 3])) for _ in value.shape]
    if value.array.size * np.prod(repeats) > 20000:
        return None
    return graph.node("Tile", [value, graph.integers(repeats)], [np.tile(value.array, repeats)])


def gather(graph):
    value = graph.pick(*NUMBERS, least=1, filled=True)
    axis = graph.axis(value)
    size = value.shape[axis]
    indices = graph.source("int64", graph.shape(0, 2))
    indices.array = graph.random.integers(-size, size, indices.shape).astype(np.int64)
    return graph.node("Gather", [value, indices], [np.take(value.array, indices.array, axis)],
                      axis=axis)


def gather_elements(graph):
    value = graph.pick(*NUMBERS, least=1, filled=True)
    axis = graph.axis(value)
    size, shape = value.shape[axis], list(value.shape)
    shape[axis] = graph.size()
    indices = graph.source("int64", tuple(shape))
    indices.array = graph.random.integers(-size, size, shape).astype(np.int64)
    return graph.node("GatherElements", [value, indices],
                      [np.take_along_axis(value.array, indices.array, axis)], axis=axis)


def scatter_elements(graph):
    value = graph.pick(*FLOATS, least=1, filled=True)
    axis = graph.axis(value)
    # Each place at most once: what several writes leave is not defined.
    order = np.argsort(graph.random.random(value.shape), axis=axis).astype(np.int64)
    count = int(graph.random.integers(1, value.shape[axis] + 1))
    chosen = np.take(order, range(count), axis)
    indices = graph.source("int64", chosen.shape)
    indices.array = chosen
    updates = graph.source(value.dtype, chosen.shape)
    result = value.array.copy()
    np.put_along_axis(result, chosen, updates.array, axis)
    return graph.node("ScatterElements", [value, indices, updates], [result], axis=axis)


def shape_of(graph):
    value = graph.pick(*NUMBERS)
    return graph.node("Shape", [value], [np.asarray(value.shape, np.int64)], True)


def reshape_by_shape(graph):
    """What exporters write for x.view(x.size(0), -1)."""
    value = graph.pick(*FLOATS, least=2, filled=True)
    shape = graph.node("Shape", [value], [np.asarray(value.shape, np.int64)], True)
    first = graph.node("Gather", [shape, graph.integers([0])], [shape.array[[0]]], True)
    target = graph.node("Concat", [first, graph.integers([-1])],
                        [np.concatenate([first.array, [-1]]).astype(np.int64)], True, axis=0)
    return graph.node("Reshape", [value, target], [value.array.reshape(value.shape[0], -1)],
                      value.exact)


# ---- Reductions


def reduce(graph):
    table = {"ReduceSum": np.sum, "ReduceMean": np.mean, "ReduceMax": np.max, "ReduceMin": np.min,
             "ReduceSumSquare": lambda x, axis, keepdims: np.sum(x * x, axis, keepdims=keepdims),
             "ReduceL1": lambda x, axis, keepdims: np.sum(np.abs(x), axis, keepdims=keepdims)}
    name = str(graph.random.choice(list(table)))
    value = graph.pick(*FLOATS, *(INTEGERS if name in ("ReduceSum", "ReduceMax") else ()),
                       filled=True, finite=True)
    rank, keep = len(value.shape), bool(graph.chance(0.5))
    axes = [int(i) for i in graph.random.permutation(rank)[:graph.random.integers(0, rank + 1)]]
    result = table[name](_wide(value.array), axis=tuple(axes) or None, keepdims=keep)
    given = [axis - rank if graph.chance(0.4) else axis for axis in axes]
    exact = None if name in ("ReduceMax", "ReduceMin") or value.dtype in INTEGERS else False
    if name == "ReduceSum":
        inputs = [value] + ([graph.integers(given)] if axes else [])
        return graph.node(name, inputs, [_like(result, value)], exact, keepdims=int(keep))
    attributes = {"keepdims": int(keep)}
    return graph.node(name, [value] + ([graph.integers(given)] if axes else []),
                      [_like(result, value)], exact, **attributes)


def arg_max(graph):
    value = graph.pick(*NUMBERS, least=1, exact=True, finite=True, filled=True)
    name, keep, axis = str(graph.random.choice(["ArgMax", "ArgMin"])), graph.chance(0.5), graph.axis(value)
    found = (np.argmax if name == "ArgMax" else np.argmin)(value.array, axis)
    result = np.expand_dims(found, axis) if keep else found
    return graph.node(name, [value], [np.asarray(result, np.int64)], axis=axis, keepdims=int(keep))


def softmax(graph):
    value = graph.pick(*FLOATS, least=1, finite=True, filled=True)
    axis = graph.axis(value)
    x = _wide(value.array)
    powers = np.exp(x - x.max(axis, keepdims=True))
    result = powers / powers.sum(axis, keepdims=True)
    if graph.chance(0.3):
        return graph.node("LogSoftmax", [value], [_like(
            x - x.max(axis, keepdims=True) - np.log(powers.sum(axis, keepdims=True)), value)],
                          False, axis=axis)
    return graph.node("Softmax", [value], [_like(result, value)], False, axis=axis)


def layer_norm(graph):
    value = graph.pick("float32", least=1, finite=True, filled=True)
    axis = graph.axis(value)
    start = axis % len(value.shape)
    axes = tuple(range(start, len(value.shape)))
    x = _wide(value.array)
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    if np.abs(x).max(initial=0) > 1000 or np.any((variance < 0.05) & (variance > 0)):
        return None  # ill-conditioned
    scale = graph.constant((graph.random.integers(1, 9, value.shape[start:]) / 4).astype("float32"))
    bias = graph.constant((graph.random.integers(-8, 9, value.shape[start:]) / 4).astype("float32"))
    result = (x - mean) / np.sqrt(variance + 1e-3) * scale.array + bias.array
    return graph.node("LayerNormalization", [value, scale, bias], [_like(result, value)], False,
                      axis=axis, epsilon=1e-3)


def cum_sum(graph):
    value = graph.pick(*FLOATS, least=1, finite=True)
    axis, reverse, exclusive = graph.axis(value), graph.chance(0.5), graph.chance(0.5)
    x = _wide(value.array)
    x = np.flip(x, axis) if reverse else x
    result = np.cumsum(x, axis)
    result = result - x if exclusive else result
    result = np.flip(result, axis) if reverse else result
    return graph.node("CumSum", [value, graph.constant(np.asarray(axis, np.int64))],
                      [_like(result, value)], False, reverse=int(reverse), exclusive=int(exclusive))


def top_k(graph):
    value = graph.pick(*FLOATS, least=1, exact=True, finite=True, filled=True)
    axis, largest = graph.axis(value), graph.chance(0.5)
    k = int(graph.random.integers(1, value.shape[axis] + 1))
    order = np.argsort(-value.array if largest else value.array, axis, kind="stable")
    indices = np.take(order, range(k), axis).astype(np.int64)
    values = np.take_along_axis(value.array, indices, axis)
    return graph.node("TopK", [value, graph.integers([k])], [values, indices], True, axis=axis,
                      largest=int(largest))


# ---- Products


def matmul(graph):
    value = graph.pick(*FLOATS, least=2, finite=True)
    if value.shape[-1] == 0:
        return None
    shape = [*value.shape[:-2], value.shape[-1], graph.size()]
    shape = shape[graph.random.integers(0, len(shape) - 1):]
    shape = [1 if i < len(shape) - 2 and graph.chance(0.3) else size for i, size in enumerate(shape)]
    other = graph.source(value.dtype, tuple(shape))
    if not other.finite:
        return None
    return graph.node("MatMul", [value, other],
                      [_like(np.matmul(_wide(value.array), _wide(other.array)), value)], False)


def gemm(graph):
    value = graph.pick("float32", rank=2, finite=True, filled=True)
    trans_a, trans_b = bool(graph.chance(0.5)), bool(graph.chance(0.5))
    rows, inner = value.shape[::-1] if trans_a else value.shape
    columns = max(1, graph.size())
    other = graph.source("float32", (columns, inner) if trans_b else (inner, columns))
    bias = graph.source("float32", [(columns,), (rows, columns), (rows, 1), (1,), ()][
        graph.random.integers(5)])
    if not (other.finite and bias.finite):
        return None
    a = value.array.T if trans_a else value.array
    b = other.array.T if trans_b else other.array
    result = 0.5 * (_wide(a) @ _wide(b)) + 2.0 * _wide(bias.array)
    return graph.node("Gemm", [value, other, bias], [_like(result, value)], False, alpha=0.5,
                      beta=2.0, transA=int(trans_a), transB=int(trans_b))


def _windows(x, kernel, strides, pads, dilations, fill):
    """[N, C, OH, OW, KH, KW] of a padded [N, C, H, W]; None where nothing fits."""
    x = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=fill)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    if x.shape[2] < spans[0] or x.shape[3] < spans[1]:
        return None
    view = np.lib.stride_tricks.sliding_window_view(x, spans, (2, 3))
    return view[:, :, ::strides[0], ::strides[1], ::dilations[0], ::dilations[1]]


def _window_attributes(graph):
    return dict(strides=[int(s) for s in graph.random.integers(1, 4, 2)],
                pads=[int(p) for p in graph.random.integers(0, 3, 4)],
                dilations=[int(d) for d in graph.random.integers(1, 3, 2)])


def convolution(graph):
    value = graph.pick("float32", rank=4, finite=True, filled=True)
    channels = value.shape[1]
    group = int(graph.random.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    outputs = group * int(graph.random.integers(1, 5))
    kernel = [int(k) for k in graph.random.integers(1, 4, 2)]
    attributes = _window_attributes(graph)
    windows = _windows(_wide(value.array), kernel, attributes["strides"], attributes["pads"],
                       attributes["dilations"], 0)
    if windows is None:
        return None
    weight = graph.source("float32", (outputs, channels // group, *kernel))
    bias = graph.source("float32", (outputs,))
    if not (weight.finite and bias.finite):
        return None
    parts = [np.einsum("nchwij,ocij->nohw", w, k) for w, k in zip(
        np.split(windows, group, 1), np.split(_wide(weight.array), group, 0))]
    result = np.concatenate(parts, 1) + bias.array[:, None, None]
    return graph.node("Conv", [value, weight, bias], [_like(result, value)], False, group=group,
                      kernel_shape=kernel, **attributes)


def pool(graph):
    value = graph.pick("float32", rank=4, finite=True, filled=True)
    kernel = [int(k) for k in graph.random.integers(1, 4, 2)]
    attributes = _window_attributes(graph)
    attributes["pads"] = [min(p, kernel[i % 2] - 1) for i, p in enumerate(attributes["pads"])]
    largest = bool(graph.chance(0.5))
    if not largest:
        attributes["dilations"] = [1, 1]
    windows = _windows(_wide(value.array), kernel, attributes["strides"], attributes["pads"],
                       attributes["dilations"], -np.inf if largest else 0)
    if windows is None:
        return None
    if largest:
        result = windows.max((4, 5))
        if not np.isfinite(result).all():
            return None  # a window of padding alone
        return graph.node("MaxPool", [value], [_like(result, value)], kernel_shape=kernel,
                          **attributes)
    del attributes["dilations"]
    count = graph.chance(0.5)
    ones = _windows(np.ones_like(value.array), kernel, attributes["strides"], attributes["pads"],
                    [1, 1], 1 if count else 0)
    return graph.node("AveragePool", [value], [_like(windows.sum((4, 5)) / ones.sum((4, 5)), value)],
                      False, kernel_shape=kernel, count_include_pad=int(count), **attributes)


def global_pool(graph):
    value = graph.pick("float32", least=3, finite=True, filled=True)
    axes = tuple(range(2, len(value.shape)))
    return graph.node("GlobalAveragePool", [value],
                      [_like(_wide(value.array).mean(axes, keepdims=True), value)], False)


def einsum(graph):
    value = graph.pick("float32", rank=3, finite=True, filled=True)
    b, i, j = value.shape
    equation, shape = [("bij,bjk->bik", (b, j, 3)), ("bij,kj->bki", (4, j)), ("bij,bij->b", (b, i, j)),
                       ("bij,i->bj", (i,)), ("...j,j->...", (j,))][graph.random.integers(5)]
    other = graph.source("float32", shape)
    if not other.finite:
        return None
    result = np.einsum(equation, _wide(value.array), _wide(other.array))
    return graph.node("Einsum", [value, other], [_like(result, value)], False, equation=equation)


def depth_to_space(graph):
    value = graph.pick("float32", rank=4, filled=True)
    n, c, h, w = value.shape
    if c % 4 == 0 and graph.chance(0.5):
        mode = str(graph.random.choice(["DCR", "CRD"]))
        if mode == "DCR":
            x = value.array.reshape(n, 2, 2, c // 4, h, w).transpose(0, 3, 4, 1, 5, 2)
        else:
            x = value.array.reshape(n, c // 4, 2, 2, h, w).transpose(0, 1, 4, 2, 5, 3)
        return graph.node("DepthToSpace", [value], [x.reshape(n, c // 4, 2 * h, 2 * w)],
                          blocksize=2, mode=mode)
    if h % 2 or w % 2:
        return None
    x = value.array.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 3, 5, 1, 2, 4)
    return graph.node("SpaceToDepth", [value], [x.reshape(n, 4 * c, h // 2, w // 2)], blocksize=2)


def trilu(graph):
    value = graph.pick(*NUMBERS, least=2)
    k, upper = int(graph.random.integers(-3, 4)), bool(graph.chance(0.5))
    result = (np.triu if upper else np.tril)(value.array, k)
    return graph.node("Trilu", [value, graph.constant(np.asarray(k, np.int64))], [result],
                      upper=int(upper))


def one_hot(graph):
    depth = int(graph.random.integers(1, 6))
    indices = graph.source("int64", graph.shape(0, 3))
    indices.array = graph.random.integers(-depth, depth, indices.shape).astype(np.int64)
    axis = int(graph.random.integers(-len(indices.shape) - 1, len(indices.shape) + 1))
    hot = np.eye(depth, dtype="float32")[indices.array] * 2 - 0.5
    result = np.moveaxis(hot, -1, axis)
    return graph.node("OneHot", [indices, graph.integers([depth]),
                                 graph.constant(np.asarray([-0.5, 1.5], "float32"))], [result],
                      axis=axis)


def quantize(graph):
    value = graph.pick("float32", exact=True, finite=True)
    scale = graph.constant(np.asarray(0.25, "float32"))
    zero = graph.constant(np.asarray(3, str(graph.random.choice(SMALL))))
    info = np.iinfo(zero.dtype)
    levels = np.clip(np.round(value.array / 0.25) + 3, info.min, info.max).astype(zero.dtype)
    levels = graph.node("QuantizeLinear", [value, scale, zero], [levels])
    return graph.node("DequantizeLinear", [levels, scale, zero],
                      [((levels.array.astype("float32") - 3) * 0.25).astype("float32")])


ALL = [unary, unary, binary, binary, binary, divide, integer_divide, compare, logical, where, cast,
       clip, transpose, transpose, reshape, reshape, squeeze, flatten, concat, concat, split, slice_,
       slice_, pad, expand, tile, gather, gather_elements, scatter_elements, shape_of,
       reshape_by_shape, reduce, reduce, arg_max, softmax, layer_norm, cum_sum, top_k, matmul,
       matmul, gemm, convolution, convolution, pool, global_pool, einsum, depth_to_space, trilu,
       one_hot, quantize, *layers.ALL]


def grow(graph, count, oracles=False):
    """Adds `count` nodes, as far as the attempts find something to add."""
    for _ in range(4 * count):
        if len(graph.nodes) >= count:
            return
        # Half of the nodes, where there is someone to ask.
        choices = oracle.ALL if oracles and oracle.ALL and graph.chance(0.5) else ALL
        make = choices[graph.random.integers(len(choices))]
        values, nodes = len(graph.values), len(graph.nodes)
        with np.errstate(all="ignore"):
            if make(graph) is None:
                del graph.values[values:], graph.nodes[nodes:]
