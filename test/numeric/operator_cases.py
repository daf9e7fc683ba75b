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
                            ((1, 7, 1, n), [3, -4, 1])][i % 4::4]:
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


def sorted_lines(n):
    """Lines long enough to be sorted, ties and NaN, of which few or all are wanted."""
    g = Graph("sorted_lines", opset=20, n=n)
    for i, (length, axis, dtype) in enumerate([
            ("n", 1, "float32"), ("n", 0, "int32"), (200, 1, "float32"), (129, -1, "float32"),
            (257, 0, "uint8"), (1000, 1, "int64")]):
        size = n if length == "n" else length
        shape = (length, 3) if axis == 0 else (2, length)
        x = g.input(*shape, dtype="int32")
        values = (x.array // 2).astype("float64" if dtype == "float32" else dtype)
        if dtype.startswith("float") and size > 2:
            values.flat[1] = values.flat[-1] = np.nan
            values.flat[2] = -np.inf
        x.array = g.inputs[x.name].array = values
        g.model._inputs[-1] = wire.value_info(x.name, dtype, shape)
        for j, k in enumerate([0, 1, size // 3, size]):
            largest = (i + j) % 2
            # NaN is the largest; of equal ones the first comes first.
            key = values.astype("float64")
            key = np.where(np.isnan(key), np.inf, np.where(np.isneginf(key), -1e9, key))
            order = np.argsort(-key if largest else key, axis=axis, kind="stable")
            order = np.take(order, np.arange(k), axis)
            count = g.given(np.array([k]))
            names = g.model.node("TopK", x.name, count.name, results=2, axis=axis, largest=largest)
            for name, array in zip(names, [np.take_along_axis(values, order, axis), order]):
                g.output(Tensor(name, array), [f"r{len(g.outputs)}_{d}" for d in range(2)])
    return g


def scattered(n, m):
    """Updates that meet, from the end and none at all; every reduction; elements and slices."""
    g = Graph("scattered", opset=18, n=n, m=m)
    random = np.random.default_rng(5)
    combine = {"none": lambda a, b: b, "add": np.add, "mul": np.multiply, "max": np.maximum,
               "min": np.minimum}
    for i, (reduction, function) in enumerate(combine.items()):
        for axis, dtype in [(0, "int32"), (-1, "float32")]:
            size = max(n // 3, 1)
            shape = [size, m] if axis == 0 else [n, size]
            x = g.given(random.integers(-9, 9, [n, m]).astype(dtype), ["n", "m"])
            result = x.array.copy()
            updates = random.integers(-3, 4, shape).astype(dtype)
            indices = random.integers(-x.array.shape[axis], x.array.shape[axis], shape)
            for place in np.ndindex(*shape):
                target = list(place)
                target[axis] = indices[place]
                target = tuple(target)
                result[target] = function(result[target], updates[place])
            dims = [f"s{i}_{axis}", "m"] if axis == 0 else ["n", f"s{i}_{axis}"]
            g.output(g.node("ScatterElements", result, x, g.given(indices, dims),
                            g.given(updates, dims), axis=axis, reduction=reduction), ["n", "m"])
        for depth in (1, 2, 3):
            count = [0, m, 2 * n][depth - 1]
            x = g.given(random.integers(-9, 9, [n, m, 3]).astype("float32"), ["n", "m", 3])
            result = x.array.copy()
            indices = random.integers(-1, 1, [2, count, depth])
            updates = random.integers(-3, 4, [2, count, *x.array.shape[depth:]]).astype("float32")
            for place in np.ndindex(2, count):
                target = tuple(indices[place])
                result[target] = function(result[target], updates[place])
            tail = ["n", "m", 3][depth:]
            g.output(g.node("ScatterND", result, x,
                            g.given(indices, [2, f"c{i}_{depth}", depth]),
                            g.given(updates, [2, f"c{i}_{depth}", *tail]), reduction=reduction),
                     ["n", "m", 3])
    return g


def unique_rows(n):
    """Copies, NaN and rows, in order and as they come."""
    g = Graph("unique_rows", opset=11, n=n)
    random = np.random.default_rng(6)
    for i, (shape, axis, dtype) in enumerate([
            ((n,), None, "float32"), ((n, 2), 0, "int32"), ((2, n), 1, "uint8"),
            ((3, n), None, "int64"), ((n, 1), -2, "float32")]):
        values = random.integers(0, max(n // 4, 2), shape).astype(dtype)
        if dtype == "float32" and n > 4:
            values.flat[3] = values.flat[1] = np.nan
        for ordered in (0, 1):
            lines = values.reshape(-1, 1) if axis is None else np.moveaxis(values, axis, 0)
            rows = [tuple(np.inf if np.isnan(v) else v for v in line.ravel()) for line in lines]
            first = {row: rows.index(row) for row in rows}
            kept = sorted(first) if ordered else list(first)
            places = np.array([first[row] for row in kept], np.int64)
            inverse = np.array([kept.index(row) for row in rows], np.int64)
            counts = np.array([rows.count(row) for row in kept], np.int64)
            chosen = lines[places].ravel() if axis is None else np.moveaxis(lines[places], 0, axis)
            x = g.given(values, ["n" if size == n and n > 3 else size for size in shape])
            how = {} if axis is None else {"axis": axis}
            results = g.nodes("Unique", [chosen, places, inverse, counts], x, sorted=ordered, **how)
            for j, result in enumerate(results):
                g.output(result, [f"u{i}_{ordered}_{j}_{d}" for d in range(result.array.ndim)])
    return g


def small_things(**sizes):
    """Attributes and types that are rare, sizes that only the run knows."""
    g = Graph("small_things", opset=20, **sizes)
    n = sizes["n"]
    x = g.input("n", 3, 4, 5)
    for p in (1, 2, 3):
        g.output(g.node("GlobalLpPool", (np.abs(x.array)**p).sum((2, 3), keepdims=True)**(1 / p), x,
                        p=p), ["n", 3, 1, 1])
    x = g.input("n", 7, dtype="int32")
    y = np.where(x.array < -2.5, x.array + 1.5, np.where(x.array > 2.5, x.array - 1.5, 0))
    g.output(g.node("Shrink", np.trunc(y).astype("int32"), x, lambd=2.5, bias=1.5), ["n", 7])
    squares = g.node("HannWindow", np.zeros(n, "int64"), g.given(np.int64(n)), output_datatype=7)
    if n > 1:
        squares.array = np.trunc(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)).astype("int64")
    g.output(squares, ["w"])
    # Bands of a spectrum.
    bands, length, rate, low, high = 4, 16, 8192, 0.0, 4096.0
    mels = 2595 * np.log10(1 + np.array([low, high]) / 700)
    points = mels[0] + np.arange(bands + 2) * (mels[1] - mels[0]) / (bands + 2)
    points = np.floor((length + 1) * 700 * (10**(points / 2595) - 1) / rate).astype(int)
    weights = np.zeros((length // 2 + 1, bands))
    for band, (left, centre, right) in enumerate(zip(points, points[1:], points[2:])):
        for i in range(len(weights)):
            if left <= i <= centre:
                weights[i, band] = (i - left) / (centre - left) if centre > left else 1
            if centre <= i < right:
                weights[i, band] = (right - i) / (right - centre)
    given = [g.given(np.int64(v), ()) for v in (bands, length, rate)]
    g.output(g.node("MelWeightMatrix", weights, *given, g.given(np.float64(low), ()),
                    g.given(np.float64(high), ())), ["bins", "bands"])
    # Of an image of integers the nearest pixels are taken.
    x = g.input("n", 2, 4, 5, dtype="int32")
    grid = g.given(np.stack(np.meshgrid([-0.9, 0.1, 2], [-0.7, 0.8]), -1)[None].repeat(n, 0)
                   .astype("float32").astype("float64"), ("n", 2, 3, 2))
    places = np.rint(((grid.array + 1) * [5, 4] - 1) / 2).astype(int)
    y = np.zeros((n, 2, 2, 3), "int32")
    for b, i, j in np.ndindex(n, 2, 3):
        column, row = places[b, i, j]
        if 0 <= row < 4 and 0 <= column < 5:
            y[b, :, i, j] = x.array[b, :, row, column]
    g.output(g.node("GridSample", y, x, grid, mode="nearest"), ["n", 2, 2, 3])
    # Infinitely far outside is outside.
    image = g.given(np.arange(1.0, 7).reshape(1, 1, 2, 3))
    far = g.given(np.array([[np.inf, -1], [-np.inf, -1], [-1, np.inf], [1e30, 1e30]])[None, None])
    for mode in ("linear", "nearest", "cubic"):
        for padding, result in (("border", [3, 1, 4, 6]), ("zeros", [0, 0, 0, 0])):
            g.output(g.node("GridSample", np.float64(result).reshape(1, 1, 1, 4), image, far, mode=mode,
                            padding_mode=padding, align_corners=1))
    # Which dimensions are 1 follows from the types but for those that must not be.
    x = g.input(2, 1, "m")
    g.output(g.node("Squeeze", x.array.squeeze(1), x), [2, "m"])
    g.output(g.node("Erf", np.sign(np.arange(-3, 4)).astype("int32") * 0 +
                    np.array([0, 0, 0, 0, 0, 0, 0], "int32"),
                    g.given(np.arange(-3, 4).astype("int32"))))
    return g


def best_places(**sizes):
    """ArgMax and ArgMin: ties, infinities, NaN, every kind of type, short and long axes."""
    g = Graph("best_places", **sizes)
    n = sizes["n"]

    def place(op, array, axis, last):
        order = np.argmax if op == "ArgMax" else np.argmin
        if last:
            return array.shape[axis] - 1 - order(np.flip(array, axis), axis)
        return order(array, axis)

    ties = np.random.default_rng(3)
    for dtype in ("float32", "int32", "int8", "uint8", "int64", "float64"):
        for dims in (("n", 3, 37), (4, "n", 21), (2, 5, "n")):
            array = ties.integers(0, 5, [sizes.get(dim, dim) for dim in dims]).astype(dtype)
            x = g.given(array, dims)
            for axis in range(3):
                op, last = ("ArgMax", "ArgMin")[axis % 2], axis == 1
                result = np.expand_dims(place(op, array, axis, last), axis)
                g.output(g.node(op, result, x, axis=axis - 3 * last, select_last_index=int(last)),
                         [*dims[:axis], 1, *dims[axis + 1:]])
    special = np.zeros((6, n + 40))
    special[0] = -np.inf
    special[1, n] = special[1, n + 20] = np.inf
    special[2, [n, n + 3]] = np.nan
    special[3] = np.nan
    special[4, ::2] = -0.0
    special[5, -1] = -np.inf
    x = g.given(special, (6, "m"))
    for op in ("ArgMax", "ArgMin"):
        for last in (0, 1):
            g.output(g.node(op, place(op, special, 1, last), x, axis=1, keepdims=0,
                            select_last_index=last), [6])
    long = ties.integers(0, 30, (2, 5000)).astype("float32")
    g.output(g.node("ArgMax", np.argmax(long, 1), g.given(long), axis=1, keepdims=0), [2])
    return g


STATIC = []
DYNAMIC = [(run_time_axes, [{"n": 1}, {"n": 6}]),
           (sorted_lines, [{"n": 5}, {"n": 1}, {"n": 300}]),
           (scattered, [{"n": 6, "m": 4}, {"n": 1, "m": 1}, {"n": 70, "m": 3}]),
           (best_places, [{"n": 6}, {"n": 1}, {"n": 70}]),
           (unique_rows, [{"n": 5}, {"n": 1}, {"n": 150}]),
           (data_dependent, [{"n": 5}, {"n": 1}, {"n": 40}]),
           (small_things, [{"n": 3, "m": 4}, {"n": 1, "m": 2}])]
