# What single operators must compute: odd sizes, sizes 0 and 1, negative axes, dynamic dimensions.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""Each function traces one model of many small cases; those of DYNAMIC are traced once per size."""
import numpy as np

from tracer import Graph


def reductions():
    """ONNX name: (numpy function of array and axes, lowest input)."""
    def keep(function):
        return lambda x, axes: function(x, axis=axes, keepdims=True)

    return {
        "ReduceSum": keep(np.sum), "ReduceMean": keep(np.mean), "ReduceProd": keep(np.prod),
        "ReduceMax": keep(np.max), "ReduceMin": keep(np.min),
        "ReduceL1": keep(lambda x, **how: np.sum(np.abs(x), **how)),
        "ReduceL2": keep(lambda x, **how: np.sqrt(np.sum(x * x, **how))),
        "ReduceSumSquare": keep(lambda x, **how: np.sum(x * x, **how)),
        "ReduceLogSum": keep(lambda x, **how: np.log(np.sum(x, **how))),
        "ReduceLogSumExp": keep(lambda x, **how: np.log(np.sum(np.exp(x), **how))),
    }


def run_time_axes(**sizes):
    g = Graph("run_time_axes", opset=20, **sizes)
    n = "n"
    for i, (name, function) in enumerate(reductions().items()):
        for shape, axes in [((2, n, 5), [1]), ((2, n, 5), [-1, 0]), ((n,), [0]),
                            ((1, 7, 1, n), [3, -4, 1])][i % 2::2]:
            for keep in (0, 1):
                with g.case(f"{name}_{len(shape)}_{keep}"):
                    x = g.input(*shape)
                    if name == "ReduceLogSum":
                        x = g.exp(x)
                    result = function(x.array, tuple(axes))
                    if not keep:
                        result = result.squeeze(tuple(axes))
                    g.output(g.node(name, result, x, g.given(np.int64(axes)), keepdims=keep),
                             [f"d{len(g.outputs)}_{j}" for j in range(result.ndim)])
    # Of integers and booleans, and no axes at all.
    x = g.input(n, 4, dtype="int32")
    g.output(g.node("ReduceMean", np.trunc(x.array.sum(0) / len(x.array)).astype("int32"), x,
                    g.given(np.int64([-2])), keepdims=0), ["k"])
    x = g.input(n, 4, dtype="bool")
    g.output(g.node("ReduceMax", x.array.any(1, keepdims=True), x, g.given(np.int64([1]))),
             ["k0", "k1"])
    for noop in (0, 1):
        x = g.input(n, 4)
        result = x.array if noop else x.array.sum(keepdims=True)
        g.output(g.node("ReduceSum", result, x, g.given(np.zeros(0, np.int64), ["none"]),
                        noop_with_empty_axes=noop), [f"e{noop}0", f"e{noop}1"])
    for shape, axes in [((1, n, 1, 2), [-2, 0]), ((1, 1), [0, 1]), ((n, 1), [-1])]:
        x = g.input(*shape)
        result = x.array.squeeze(tuple(axes))
        g.output(g.node("Squeeze", result, x, g.given(np.int64(axes))),
                 [f"s{len(g.outputs)}_{j}" for j in range(result.ndim)])
    for shape, axes in [((2, n), [-1, 1]), ((), [0]), ((n,), [2, 0]), ((2, 0, n), [-4])]:
        x = g.input(*shape)
        result = np.expand_dims(x.array, tuple(axes))
        g.output(g.node("Unsqueeze", result, x, g.given(np.int64(axes))),
                 [f"u{len(g.outputs)}_{j}" for j in range(result.ndim)])
    for shape, axis in [((2, n, 3, 1), 1), ((2, 3, n, 2), -2), ((n, 2), 0), ((1, n, 1), -2)]:
        for inverse in (0, 1):
            x = g.input(*shape)
            value = x.array[..., 0] + 1j * (x.array[..., 1] if shape[-1] == 2 else 0)
            at = axis % len(shape)
            value = np.fft.ifft(value, axis=at) if inverse else np.fft.fft(value, axis=at)
            result = np.stack([value.real, value.imag], -1)
            g.output(g.node("DFT", result, x, "", g.given(np.int64(axis)), inverse=inverse),
                     [f"f{len(g.outputs)}_{j}" for j in range(result.ndim)])
    return g


STATIC = []
DYNAMIC = [(run_time_axes, [{"n": 3}, {"n": 1}, {"n": 6}])]
