# Operators of whose operands no size is known when compiling. Used by schedule.py --cases.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""The models of `single_...` have one node and named sizes, for runs whose sizes do not fit."""
import itertools

import numpy as np

from microsoft_cases import MS, rotate
from quantized_cases import centred, convolve, requantize, values
from signal_cases import transformed
from tracer import Graph
from vision_cases import deform_conv


def unknown(g, array):
    """An input with these values of which only the rank is known."""
    array = np.asarray(array)
    return g.given(array, [f"x{len(g.inputs)}_{i}" for i in range(array.ndim)])


def free(g, *shape, scale=1, dtype="float32"):
    """An input of which only the rank is known."""
    array = scale * Graph._values(g.random, shape, dtype)
    if dtype == "float32":
        array = array.astype("float32").astype("float64")
    return unknown(g, array)


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


def scale_of(g, *shape):
    return unknown(g, g.random.uniform(0.01, 0.1, shape).astype("float32").astype("float64"))


def quantize_node(g, x, scale, zero, spread=np.asarray, **attributes):
    """`spread` lines numbers up with x."""
    divisor = spread(scale.array).astype(np.float32)
    y = requantize(x.array.astype(np.float32) / divisor, 1, spread(zero.array))
    return g.node("QuantizeLinear", y, x, scale, zero, **attributes)


def dequantize_node(g, x, scale, zero=None, spread=np.asarray, **attributes):
    y = x.array.astype(np.int64) - (spread(zero.array).astype(np.int64) if zero else 0)
    inputs = [x, scale, zero] if zero else [x, scale]
    return g.node("DequantizeLinear", y * spread(scale.array), *inputs, **attributes)


def quantization(**sizes):
    """Scales of which only the run knows whether there is one or one for each slice."""
    g = Graph("quantization", opset=21, **sizes)
    n, per_slice = sizes["n"], sizes["per_slice"]
    for shape, axis in [((2, n, 5), 1), ((n,), 0), ((n, 2), -2), ((3, 0, 2 * n), 2), ((n, 7), 1)]:
        count = shape[axis] if per_slice else 1

        def along(parameter):
            if parameter.size != shape[axis]:
                return parameter.reshape(-1)[:1] if parameter.size else parameter
            return parameter.reshape([-1 if i == axis % len(shape) else 1
                                      for i in range(len(shape))])
        for dtype in ("uint8", "int8"):
            scale, zero = scale_of(g, count), unknown(g, values(g, count, dtype))
            output(g, quantize_node(g, free(g, *shape, scale=5), scale, zero, along, axis=axis))
            x = unknown(g, values(g, shape, dtype))
            output(g, dequantize_node(g, x, scale, zero, along, axis=axis))
            output(g, dequantize_node(g, x, scale, None, along, axis=axis))
    # One number, as a scalar or a vector, whose axis need not be there.
    for scales, zeros in [((), (1,)), ((1,), ()), ((1,), (1,))]:
        scale, zero = scale_of(g, *scales), unknown(g, values(g, zeros, "int8"))
        output(g, quantize_node(g, free(g, n, scale=5), scale, zero, np.ravel))
        output(g, dequantize_node(g, unknown(g, values(g, (2, n), "int8")), scale, zero, np.ravel,
                                  axis=0))
    # Blocks, of which the last is cut off.
    length = 2 * n + 1
    shape = (3, n + 1)

    def blocks(parameter):
        return np.repeat(parameter, 2, 1)[:, :length]
    scale, zero = scale_of(g, *shape), unknown(g, values(g, shape, "int8"))
    output(g, quantize_node(g, free(g, 3, length, scale=5), scale, zero, blocks, block_size=2))
    x = unknown(g, values(g, (3, length), "int8"))
    output(g, dequantize_node(g, x, scale, zero, blocks, block_size=2))
    return g


def quantized_products(**sizes):
    """Zero points and scales that are one, or one for each row, column or filter."""
    g = Graph("quantized_products", opset=21, **sizes)
    n, per_slice = sizes["n"], sizes["per_slice"]

    def parameters(count, dtype):
        count = count if per_slice else 1
        return scale_of(g, count), unknown(g, values(g, count, dtype))
    for batch, rows, columns in [((), n, 5), ((2,), 3, n), ((n, 1), 1, 1)]:
        a = unknown(g, values(g, (*batch, rows, 6), "uint8"))
        b = unknown(g, values(g, (*batch, 6, columns), "int8"))
        (a_scale, a_zero), (b_scale, b_zero) = parameters(rows, "uint8"), parameters(columns, "int8")
        sums = (centred(a.array, a_zero.array[:, None]) @ centred(b.array, b_zero.array))
        sums = sums.astype(np.int32)
        output(g, g.node("MatMulInteger", sums, a, b, a_zero, b_zero))
        for zeros in ((), (1,)):
            y_scale, y_zero = scale_of(g, *zeros), unknown(g, values(g, zeros, "uint8"))
            scale = a_scale.array[:, None].astype(np.float32) * b_scale.array.astype(np.float32)
            scale = scale / y_scale.array.astype(np.float32)
            y = requantize(sums, scale, y_zero.array.reshape(()))
            output(g, g.node("QLinearMatMul", y, a, a_scale, a_zero, b, b_scale, b_zero, y_scale,
                             y_zero))
        one_scale, one_zero = scale_of(g, 1), unknown(g, values(g, 1, "uint8"))
        product = centred(a.array, one_zero.array) @ centred(b.array, b_zero.array)
        output(g, g.node("MatMulIntegerToFloat", product * one_scale.array * b_scale.array, a, b,
                         one_scale, b_scale, one_zero, b_zero, domain=MS))
    vector, matrix = unknown(g, values(g, n, "uint8")), unknown(g, values(g, (n, 3), "uint8"))
    zero, zeros = unknown(g, values(g, 1, "uint8")), parameters(3, "uint8")[1]
    result = centred(vector.array, zero.array) @ centred(matrix.array, zeros.array)
    output(g, g.node("MatMulInteger", result.astype(np.int32), vector, matrix, zero, zeros))
    for filters, kernel in [(n, (2, 3)), (4, (1, n))]:
        x = unknown(g, values(g, (2, n, 5, 6), "uint8"))
        w = unknown(g, values(g, (filters, n, *kernel), "int8"))
        x_scale, x_zero = scale_of(g, 1), unknown(g, values(g, 1, "uint8"))
        w_scale, w_zero = parameters(filters, "int8")
        geometry = dict(strides=[1, 2], pads=[1, 0, 1, 1], dilations=[1, 1], group=1)
        sums = convolve(centred(x.array, x_zero.array), centred(w.array, w_zero.array, 0), **geometry)
        output(g, g.node("ConvInteger", sums, x, w, x_zero, w_zero, **geometry))
        y_scale, y_zero = scale_of(g, 1), unknown(g, values(g, 1, "uint8"))
        scale = x_scale.array.astype(np.float32) * w_scale.array.astype(np.float32)
        scale = (scale / y_scale.array.astype(np.float32))[:, None, None]
        y = requantize(sums, scale, y_zero.array.reshape(()))
        output(g, g.node("QLinearConv", y, x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero,
                         **geometry))
    return g


def fourier(**sizes):
    """Numbers of which only the run knows whether they are real or complex."""
    g = Graph("fourier", opset=20, **sizes)
    n, parts = sizes["n"], sizes["parts"]
    forms = [(0, 0, None), (1, 0, None), (0, 1, None), (1, 1, None), (0, 0, 5), (1, 1, 5)]
    for i, (inverse, onesided, length) in enumerate(forms):
        shape, axis = [((2, n + 1), 1), ((n + 2, 3), 0), ((2, 3, n + 1), -2)][i % 3]
        # Of complex numbers there is no half.
        x = free(g, *shape, 1 if onesided and not inverse else parts)
        if onesided and inverse:
            x.array[...] = np.abs(x.array)
        result = transformed(x.array, axis, inverse, onesided, length)
        where = g.ints(axis) if i else g.given(np.int64(axis), ())
        output(g, g.node("DFT", result, x, "" if length is None else g.ints(length), where,
                         inverse=inverse, onesided=onesided))
    return g


def frames(**sizes):
    g = Graph("frames", opset=17, **sizes)
    n, parts, size, step = sizes["n"], sizes["parts"], 6, 4
    for windowed in (False, True):
        x = free(g, n, 10 * n, parts)
        window = free(g, size) if windowed else None
        cut = np.stack([x.array[:, i:i + size] for i in range(0, 10 * n - size + 1, step)], 1)
        if windowed:
            cut = cut * window.array[:, None]
        inputs = [window] if windowed else ["", g.ints(size)]
        output(g, g.node("STFT", transformed(cut, 2, 0, 0, None), x, g.ints(step), *inputs,
                         onesided=0))
    return g


def affine_grid_node(g, theta, size, align):
    """`size` lists N, C and the image."""
    image = size.array[2:]
    axes = [np.linspace(-1, 1, k) if align else (2 * np.arange(k) + 1) / k - 1 for k in image]
    places = np.stack([*np.meshgrid(*axes, indexing="ij")][::-1] + [np.ones(image)], -1)
    result = np.einsum("...j,nij->n...i", places, theta.array)
    return g.node("AffineGrid", result, theta, size, align_corners=align)


def grids(**sizes):
    g = Graph("grids", opset=20, **sizes)
    n = sizes["n"]
    for image in [(n, 3), (2, n + 1, 4)]:
        for align in (0, 1):
            # What tells how many dimensions there are: the length of the list, or of the result.
            size, theta = np.array([n, 2, *image]), free(g, n, len(image), len(image) + 1)
            for listed in (size.shape, [f"list{len(g.inputs)}"]):
                output(g, affine_grid_node(g, theta, g.given(size, listed), align))
    return g


def ranks(**sizes):
    """Ranks that follow from lengths, of which the declared types tell."""
    g = Graph("ranks", opset=21, **sizes)
    n = sizes["n"]
    data = free(g, n, 4, 3)
    for indices, batch in [([[0, 1], [-1, 3]], 0), ([[2], [0]], 0), ([[1, 2, 0]] * n, 0),
                           ([[1]] * n, 1), ([[[3, 1]]] * n, 1)]:
        indices = np.array(indices)
        indices = indices if batch else indices % data.shape[:indices.shape[-1]]
        if batch:
            result = np.stack([data.array[i][tuple(np.moveaxis(indices[i], -1, 0))]
                               for i in range(n)])
        else:
            result = data.array[tuple(np.moveaxis(indices, -1, 0))]
        output(g, g.node("GatherND", result, data, unknown(g, indices), batch_dims=batch))
    for shape in [(n, 12), (2, 2, -1, n), (-1,)]:
        output(g, g.node("Reshape", data.array.reshape(shape), data, unknown(g, shape)))
    output(g, g.node("ConstantOfShape", np.zeros((n, 0, 2)), unknown(g, (n, 0, 2))))
    apart = free(g, n, 1, 3, 1)
    output(g, g.node("Squeeze", apart.array.reshape(n, 3), apart, unknown(g, (-1, 1))))
    output(g, g.node("Unsqueeze", data.array[None, :, :, None], data, unknown(g, (3, 0))))
    return g


def kernels(**sizes):
    """`kernel_shape` tells sizes that weights have."""
    g = Graph("kernels", opset=22, **sizes)
    n = sizes["n"]
    for kernel in [(3, 2), (1, 1), (4,)]:
        x = free(g, n, 2, *[7] * len(kernel))
        w = free(g, n + 1, 2, *kernel)
        output(g, g.conv(x, w, pads=[1, 0] * len(kernel)))
    return g


def single_quantize(**sizes):
    g = Graph("single_quantize", opset=21, **sizes)
    x, scale, zero = g.input("b", "c"), g.input("s"), g.input("z", dtype="int8")
    output(g, quantize_node(g, x, scale, zero))
    return g


def single_dequantize(**sizes):
    """An axis that is not there, for which one scale will do."""
    g = Graph("single_dequantize", opset=21, **sizes)
    x, scale = g.input("l", dtype="int8"), g.input("s")
    output(g, dequantize_node(g, x, scale))
    return g


def single_blocks(**sizes):
    g = Graph("single_blocks", opset=21, **sizes)
    x, scale, zero = (g.input("r", "l", dtype="int8"), g.input("r", "s"),
                      g.input("r", "z", dtype="int8"))
    output(g, dequantize_node(g, x, scale, zero, lambda y: np.repeat(y, 2, 1), block_size=2))
    return g


def single_qlinear_matmul(**sizes):
    g = Graph("single_qlinear_matmul", opset=21, **sizes)
    a, a_scale, a_zero = g.input("m", "k", dtype="int8"), g.input("as"), g.input("az", dtype="int8")
    b, b_scale, b_zero = g.input("k", "n", dtype="int8"), g.input("bs"), g.input("bz", dtype="int8")
    y_scale, y_zero = g.input("ys"), g.input("yz", dtype="int8")
    sums = centred(a.array, a_zero.array[:, None]) @ centred(b.array, b_zero.array)
    scale = a_scale.array[:, None].astype(np.float32) * b_scale.array.astype(np.float32)
    y = requantize(sums, scale / y_scale.array.astype(np.float32), y_zero.array)
    output(g, g.node("QLinearMatMul", y, a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero))
    return g


def single_conv_integer(**sizes):
    g = Graph("single_conv_integer", **sizes)
    x, w = g.input("b", "c", "h", "w", dtype="int8"), g.input("f", "c", "kh", "kw", dtype="int8")
    x_zero, w_zero = g.input("xz", dtype="int8"), g.input("wz", dtype="int8")
    sums = convolve(centred(x.array, x_zero.array), centred(w.array, w_zero.array, 0), (1, 1),
                    (0, 0, 0, 0), (1, 1), 1)
    output(g, g.node("ConvInteger", sums, x, w, x_zero, w_zero, kernel_shape=[2, 3]))
    return g


def single_dft(**sizes):
    g = Graph("single_dft", opset=20, **sizes)
    x = g.input("b", "l", "parts")
    output(g, g.node("DFT", transformed(x.array, 1, 0, 0, None), x))
    return g


def single_stft(**sizes):
    g = Graph("single_stft", opset=17, **sizes)
    x = g.input("b", "l", "parts")
    result = transformed(x.array[:, None, :4], 2, 0, 0, None)
    output(g, g.node("STFT", result, x, g.ints(4), "", g.ints(4), onesided=0))
    return g


def single_grid(**sizes):
    g = Graph("single_grid", opset=20, **sizes)
    output(g, affine_grid_node(g, g.input("n", "r", "q"), g.ints([2, 1, 3, 4]), 0))
    return g


def single_gather(**sizes):
    g = Graph("single_gather", **sizes)
    data, indices = g.input("a", "b"), g.given(np.zeros((2, 1), np.int64), ("count", "k"))
    output(g, g.node("GatherND", data.array[[0, 0]], data, indices))
    return g


def single_cumulative(**sizes):
    g = Graph("single_cumulative", **sizes)
    x, axis = g.input("a", "b"), g.given(np.array(-1), ())
    output(g, g.node("CumSum", np.cumsum(x.array, 1), x, axis))
    return g


def single_slice(**sizes):
    g = Graph("single_slice", **sizes)
    x, axes = g.input("a", "b"), g.given(np.array([-1]), (1,))
    output(g, g.node("Slice", x.array[:, :1], x, g.ints([0]), g.ints([1]), axes))
    return g


def single_pad(**sizes):
    g = Graph("single_pad", opset=18, **sizes)
    x, axes = g.input("a", "b"), g.given(np.array([1]), (1,))
    output(g, g.node("Pad", np.pad(x.array, [(0, 0), (1, 2)]), x, g.ints([1, 2]), "", axes))
    return g


def single_expand(**sizes):
    g = Graph("single_expand", **sizes)
    x, shape = g.input("a"), g.given(np.array([1]), (1,))
    output(g, g.node("Expand", x.array, x, shape))
    return g


def single_arg_max(**sizes):
    g = Graph("single_arg_max", **sizes)
    x = g.input("a", "b")
    output(g, g.node("ArgMax", np.argmax(x.array, 0)[None], x))
    return g


STATIC = []
DYNAMIC = [(causal_conv, [{"n": 3}, {"n": 1}, {"n": 4}]), (rotary, [{"n": 2}, {"n": 1}, {"n": 5}]),
           (deform_conv_of_any_size, [{"n": 2}, {"n": 1}, {"n": 3}]),
           (size_from_data, [{"n": 2}, {"n": 1}, {"n": 7}]),
           (single_reshape, [{"a": 4}]), (single_declared_reshape, [{}]),
           *[(build, [dict(n=n, per_slice=each) for n, each in [(3, 1), (4, 0), (1, 1), (2, 1)]])
             for build in (quantization, quantized_products)],
           *[(build, [dict(n=n, parts=parts) for n, parts in [(3, 1), (2, 2), (1, 1), (4, 2)]])
             for build in (fourier, frames)],
           *[(build, [{"n": 3}, {"n": 1}, {"n": 4}]) for build in (grids, ranks, kernels)],
           (single_quantize, [dict(b=2, c=3, s=3, z=3), dict(b=2, c=3, s=1, z=1)]),
           (single_dequantize, [dict(l=5, s=1)]), (single_blocks, [dict(r=3, l=8, s=4, z=4)]),
           (single_qlinear_matmul,
            [{"m": 1, "k": 4, "n": 3, "as": 1, "az": 1, "bs": 3, "bz": 3, "ys": 1, "yz": 1}]),
           (single_conv_integer, [dict(b=2, c=3, h=4, w=5, f=2, kh=2, kw=3, xz=1, wz=2)]),
           (single_dft, [dict(b=2, l=5, parts=2)]), (single_stft, [dict(b=2, l=7, parts=1)]),
           *[(build, [dict(a=3, b=4)])
             for build in (single_cumulative, single_slice, single_pad, single_arg_max)],
           (single_expand, [dict(a=4)]), (single_grid, [dict(n=2, r=2, q=3)]), (single_gather, [dict(a=3, b=4, count=2, k=1)]),
           (single_causal_conv, [dict(b=2, c=3, l=5, filters=3, one=1, k=4, s=3, biases=3)]),
           (single_rotary, [dict(b=2, h=3, s=5, d=6, half=3, half2=3)]),
           (single_deform_conv, [dict(b=2, c=4, h=4, w=5, filters=6, per=2, ky=2, kx=3, o=24, m=12,
                                      oh=3, ow=3, biases=6)])]
