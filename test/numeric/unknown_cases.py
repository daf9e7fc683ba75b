# Operators of whose operands no size is known when compiling. Used by schedule.py --cases.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""The models of `single_...` have one node and named sizes, for runs whose sizes do not fit."""
import itertools

import numpy as np

from microsoft_cases import rotate
from tracer import Graph
from vision_cases import deform_conv


def free(g, *shape, scale=1, dtype="float32"):
    """An input of which only the rank is known."""
    array = scale * Graph._values(g.random, shape, dtype)
    if dtype == "float32":
        array = array.astype("float32").astype("float64")
    return g.given(array, [f"x{len(g.inputs)}_{i}" for i in range(len(shape))])


def output(g, tensor):
    g.output(tensor, [f"y{len(g.outputs)}_{i}" for i in range(tensor.array.ndim)])


def filter_channels(x, w, bias, state, silu):
    """CausalConvWithState: the result and the state after it."""
    kernel, length = w.shape[2], x.shape[2]
    padded = np.concatenate([state, x], 2)
    result = np.zeros(x.shape) + bias[:, None]
    for k in range(kernel):
        result += w[:, 0, k, None] * padded[:, :, k:k + length]
    if silu:
        result = result / (1 + np.exp(-result))
    return result, padded[:, :, length:]


def causal_conv_node(g, x, w, bias=None, state=None, silu=False):
    zeros = np.zeros((*x.shape[:2], w.shape[2] - 1))
    results = filter_channels(x.array, w.array, bias.array if bias else np.zeros(len(w.array)),
                              state.array if state else zeros, silu)
    return g.nodes("CausalConvWithState", results, x, w, bias or "", state or "",
                   activation="silu" if silu else "none")


def causal_conv(**sizes):
    g = Graph("causal_conv", opset=27, **sizes)
    n = sizes["n"]
    for batch, channels, length, kernel in [(2, n, 7, 3), (n, 1, n, n), (1, 5, 1, n + 2),
                                            (n, 3, 0, 2), (0, n, 4, 2)]:
        for silu, has_bias, has_state in [(0, 0, 0), (1, 1, 1)]:
            x, w = free(g, batch, channels, length), free(g, channels, 1, kernel)
            bias = free(g, channels) if has_bias else None
            state = free(g, batch, channels, kernel - 1) if has_state else None
            for result in causal_conv_node(g, x, w, bias, state, silu):
                output(g, result)
    # Where the channels are known, it is a convolution.
    x, state = g.input("n", 4, "n"), free(g, n, 4, n + 1)
    w = g.given(g.random.random((4, 1, n + 2)), (4, 1, "taps"))
    for result in causal_conv_node(g, x, w, None, state):
        output(g, result)
    return g


def rotary_node(g, x, cosines, sines, angles, heads=0, rotated=0, **attributes):
    """`angles`: [B, S, R / 2]"""
    array = x.array
    if array.ndim == 3:
        array = array.reshape(*array.shape[:2], heads, array.shape[2] // heads).transpose(0, 2, 1, 3)
        attributes["num_heads"] = heads
    end = rotated or array.shape[3]
    result = np.concatenate([rotate(array[..., :end], angles, attributes.get("interleaved")),
                             array[..., end:]], 3)
    if x.array.ndim == 3:
        result = result.transpose(0, 2, 1, 3).reshape(x.shape)
    return g.node("RotaryEmbedding", result, x, cosines, sines, *attributes.pop("positions", []),
                  rotary_embedding_dim=rotated, **attributes)


def rotary(**sizes):
    g = Graph("rotary", opset=23, **sizes)
    n = sizes["n"]
    # `num_heads` of rank 3 is part of the model, so it is the same at every size.
    for heads, rows, size, rotated, ranks in [(2, n, 2 * n, 0, (3, 4)), (n, 3, 2 * n + 6, 4, (4,)),
                                              (1, 5, 4, 4, (3, 4)), (3, 0, 2, 0, (3, 4))]:
        for rank, interleaved, table in itertools.product(ranks, (0, 1), (0, 1)):
            x = free(g, 2, rows, heads * size) if rank == 3 else free(g, 2, heads, rows, size)
            half, attributes = (rotated or size) // 2, {}
            angles = 3 * g.random.random((9, half) if table else (2, rows, half))
            cosines, sines = (g.given(f(angles).astype("float32"),
                                      [f"x{len(g.inputs)}_{i}" for i in range(angles.ndim)])
                              for f in (np.cos, np.sin))
            if table:
                places = g.random.integers(0, 9, (2, rows))
                attributes["positions"] = [g.given(places, [f"x{len(g.inputs)}_{i}"
                                                            for i in range(2)])]
                angles = angles[places]
            output(g, rotary_node(g, x, cosines, sines, angles, heads, rotated,
                                  interleaved=interleaved, **attributes))
    return g


def deform_conv_of_any_size(**sizes):
    g = Graph("deform_conv_of_any_size", opset=22, **sizes)
    n = sizes["n"]
    for group, offset_group, strides, dilations, kernel, pads in [
            (1, 1, (1, 1), (1, 1), (n, 2), (1, 0, 0, 1)), (2, 4, (2, 1), (1, 2), (1, n), (2, 1, 1, 2)),
            (4, 2, (1, 2), (2, 1), (2, 2), (0, 0, 0, 0))]:
        image = (6, n + 6)
        x, w = free(g, n, 4 * n, *image), free(g, 8, 4 * n // group, *kernel)
        out = [(size + pads[i] + pads[i + 2] - (k - 1) * dilations[i] - 1) // strides[i] + 1
               for i, (size, k) in enumerate(zip(image, kernel))]
        taps = kernel[0] * kernel[1]
        offset = free(g, n, offset_group * 2 * taps, *out, scale=3)
        for has_bias, has_mask in [(0, 0), (1, 1)]:
            bias = free(g, 8) if has_bias else None
            mask = free(g, n, offset_group * taps, *out) if has_mask else None
            expected = deform_conv(
                x.array, w.array, offset.array, bias.array if bias else np.zeros(8),
                mask.array if mask else np.ones((n, offset_group * taps, *out)), strides, pads,
                dilations, group, offset_group)
            output(g, g.node("DeformConv", expected, x, w, offset, bias or "", mask or "",
                             strides=list(strides), pads=list(pads), dilations=list(dilations),
                             group=group, offset_group=offset_group))
    # One spatial dimension: the windows of an image of one row, which nothing shifts up or down.
    x, w, offset = free(g, n, 2, 9), free(g, 3, 2, n), free(g, n, n, 10 - n, scale=3)
    shifts = np.stack([0 * offset.array, offset.array], 2).reshape(n, 2 * n, 1, 10 - n)
    expected = deform_conv(x.array[:, :, None], w.array[:, :, None], shifts, np.zeros(3),
                           np.ones((n, n, 1, 10 - n)), (1, 1), (0, 0, 0, 0), (1, 1), 1, 1)
    output(g, g.node("DeformConv", expected[:, :, 0], x, w, offset))
    return g


def size_from_data(**sizes):
    """Reshapes of which one size is a number of the data; the others leave it no choice."""
    g = Graph("size_from_data", **sizes)
    n = sizes["n"]
    x, numbers = free(g, 2 * n, 6), g.given(np.array([3 * n, -1, 0]))
    piece = [g.slice(numbers, 0, i, i + 1) for i in range(3)]
    output(g, g.node("Reshape", x.array.reshape(3 * n, 4), x, g.concat(0, piece[0], g.ints([4]))))
    output(g, g.node("Reshape", x.array.reshape(-1, 4), x, g.concat(0, piece[1], g.ints([4]))))
    output(g, g.node("Reshape", x.array.reshape(-1, 3, 2), x,
                     g.concat(0, piece[2], g.ints([3, 2]))))
    output(g, g.node("Reshape", x.array.reshape(4, -1), x, g.concat(0, g.ints([4]), piece[0])))
    output(g, g.node("Reshape", x.array.reshape(2, 6 * n), x,
                     g.concat(0, g.ints([2]), g.mul(piece[0], g.ints([2])))))
    # All known: of a result that the model declares, and of a constant.
    y, sixes = g.given(g.random.random(12)), g.given(np.array([2, 6]))
    output(g, g.node("Reshape", y.array.reshape(2, 6), y, sixes))
    g.output(g.node("Reshape", y.array.reshape(2, 6), y, sixes), [2, 6])
    w = g.weight(12)
    g.output(g.node("Reshape", w.array.reshape(2, 6), w, sixes), [2, 6])
    return g


def single_reshape(**sizes):
    g = Graph("single_reshape", **sizes)
    x, number = g.input("a", 3), g.given(np.array([sizes["a"]]))
    output(g, g.node("Reshape", x.array, x, g.concat(0, number, g.ints([3]))))
    return g


def single_declared_reshape(**sizes):
    g = Graph("single_declared_reshape", **sizes)
    x, shape = g.input(2, 3), g.given(np.array([3, 2]))
    g.output(g.node("Reshape", x.array.reshape(3, 2), x, shape), [3, 2])
    return g


def single_causal_conv(**sizes):
    g = Graph("single_causal_conv", opset=27, **sizes)
    x, w, state = g.input("b", "c", "l"), g.input("filters", "one", "k"), g.input("b", "c", "s")
    for result in causal_conv_node(g, x, w, g.input("biases"), state):
        output(g, result)
    return g


def single_rotary(**sizes):
    g = Graph("single_rotary", opset=23, **sizes)
    x, cosines, sines = (g.input(*dims) for dims in [
        ("b", "h", "s", "d"), ("b", "s", "half"), ("b", "s", "half2")])
    a, b = np.split(x.array, 2, 3)
    c, s = cosines.array[:, None], sines.array[:, None]
    output(g, g.node("RotaryEmbedding", np.concatenate([c * a - s * b, s * a + c * b], 3), x,
                     cosines, sines))
    return g


def single_deform_conv(**sizes):
    g = Graph("single_deform_conv", opset=22, **sizes)
    x, w, bias = g.input("b", "c", "h", "w"), g.input("filters", "per", "ky", "kx"), g.input("biases")
    offset, mask = g.input("b", "o", "oh", "ow"), g.input("b", "m", "oh", "ow")
    expected = deform_conv(x.array, w.array, offset.array, bias.array, mask.array, (1, 1),
                           (0, 0, 0, 0), (1, 1), 2, 2)
    output(g, g.node("DeformConv", expected, x, w, offset, bias, mask, group=2, offset_group=2))
    return g


STATIC = []
DYNAMIC = [(causal_conv, [{"n": 3}, {"n": 1}, {"n": 4}]), (rotary, [{"n": 2}, {"n": 1}, {"n": 5}]),
           (deform_conv_of_any_size, [{"n": 2}, {"n": 1}, {"n": 3}]),
           (size_from_data, [{"n": 2}, {"n": 1}, {"n": 7}]),
           (single_reshape, [{"a": 4}]), (single_declared_reshape, [{}]),
           (single_causal_conv, [dict(b=2, c=3, l=5, filters=3, one=1, k=4, s=3, biases=3)]),
           (single_rotary, [dict(b=2, h=3, s=5, d=6, half=3, half2=3)]),
           (single_deform_conv, [dict(b=2, c=4, h=4, w=5, filters=6, per=2, ky=2, kx=3, o=24, m=12,
                                      oh=3, ow=3, biases=6)])]
