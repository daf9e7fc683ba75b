# What single operators must compute: odd sizes, sizes 0 and 1, negative axes, dynamic dimensions.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""Each function traces one model of many small cases; those of DYNAMIC are traced once per size."""
import numpy as np

from tracer import Graph, Tensor, wire


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


def data_dependent(**sizes):
    """Results whose size the data decides: none, some, all; more than one block of 64 flags."""
    g = Graph("data_dependent", opset=17, **sizes)
    for shape in [("n",), (3, "n"), (2, 5, "n"), ("n", 1, 7), (0, "n")]:
        for part in (0, 0.1, 0.6, 1):
            x = g.input(*shape)
            keep = np.where(g.random.random(x.shape) < part, x.array, 0)
            x.array = g.inputs[x.name].array = keep
            with g.case(f"nonzero_{len(shape)}_{part}"):
                g.output(g.node("NonZero", np.array(np.nonzero(keep)), x),
                         [len(shape), f"k{len(g.outputs)}"])
    g.output(g.node("NonZero", np.zeros((0, 1), "int64"), g.given(np.float64(2), ())), [0, "one"])
    x, length = g.input(4, "n", 3), sizes["n"]
    for axis, size in [(None, 12 * length), (1, length), (-1, 3), (0, 2)]:
        condition = g.given(g.random.random(size) < 0.5, [f"c{axis}"])
        result = np.compress(condition.array, x.array, axis)
        how = {} if axis is None else {"axis": axis}
        g.output(g.node("Compress", result, x, condition, **how),
                 [f"p{axis}_{i}" for i in range(result.ndim)])
    for shape, axis in [((3, "n"), None), (("n",), 0), ((2, "n", 2), 1), (("n", 2), -2)]:
        for is_sorted in (1, 0):
            for dtype in ("int32", "bool", "float32"):
                x = g.input(*shape, dtype="int32")
                values = (x.array // 3).astype("float64" if dtype == "float32" else dtype)
                if dtype == "float32" and values.size > 2:
                    values.flat[1] = values.flat[-1] = np.nan if axis is None else 0.5
                x.array = values
                g.inputs[x.name].array = values
                g.model._inputs[-1] = wire.value_info(x.name, dtype, shape)
                along = axis if axis is None else axis % len(shape)
                y, first, inverse, counts = np.unique(values, True, True, True, axis=along)
                order = np.arange(len(first)) if is_sorted else np.argsort(first)
                back = np.argsort(order)
                y = np.take(values.reshape(-1) if axis is None else values, first[order], along or 0)
                names = g.model.node("Unique", x.name, results=4, sorted=is_sorted,
                                     **({} if axis is None else {"axis": axis}))
                results = [y, first[order], back[inverse.reshape(-1)], counts[order]]
                for name, array in zip(names, results):
                    array = array if array.dtype.kind in "fb" or array is y else array.astype("int64")
                    g.output(Tensor(name, array), [f"q{len(g.outputs)}_{i}" for i in range(array.ndim)])
    return g


STATIC = []
DYNAMIC = [(run_time_axes, [{"n": 3}, {"n": 1}, {"n": 6}]),
           (data_dependent, [{"n": 5}, {"n": 1}, {"n": 40}])]
