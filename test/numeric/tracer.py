# Builds ONNX graphs whose every value is computed by numpy at the same time, as the reference.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""Graph methods add one node each and return a Tensor: the node's result and what it must be.

Floating-point values are computed in f64 from inputs rounded to f32.
"""
import itertools
import os
import sys

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "utils"))
from zoo_models import wire  # noqa: E402,F401
from zoo_models.builder import Model  # noqa: E402


class Tensor:
    """`kind` is the element type where numpy lacks it; the array then holds the elements' bits, or
    integers of less than a byte."""

    def __init__(self, name, array, kind=None):
        self.name, self.array, self.kind = name, np.asarray(array), kind

    @property
    def shape(self):
        return self.array.shape

    @property
    def dtype(self):
        return self.kind or ("float32" if self.array.dtype.kind == "f" else str(self.array.dtype))

    @property
    def stored(self):
        """The array as files hold it."""
        return self.array if self.kind else self.array.astype(self.dtype)


class Graph:
    """`sizes` gives the values of the symbolic dimensions in this run of the model."""

    def __init__(self, name, seed=0, opset=17, **sizes):
        self.model = Model(name, seed, 1, opset=opset)
        # Weights must not depend on the sizes: they are the same in every run of a model.
        self.random, self.weights = np.random.default_rng([seed, 1]), np.random.default_rng(seed)
        self.name, self.sizes = name, sizes
        self.inputs, self.outputs = {}, {}

    def case(self, name):
        """Nodes made inside carry this name, and so do errors about them."""
        return self.model.scope(name)

    @staticmethod
    def _values(random, shape, dtype):
        if dtype == "bool":
            return random.random(shape) < 0.5
        if dtype.startswith("int"):
            return random.integers(-8, 8, shape).astype(dtype)
        return random.uniform(-1, 1, shape).astype("float32").astype("float64")

    def input(self, *dims, dtype="float32"):
        array = self._values(self.random, [self.sizes.get(dim, dim) for dim in dims], dtype)
        name = self.model.input(f"x{len(self.inputs)}", dims, dtype)
        self.inputs[name] = Tensor(name, array)
        return self.inputs[name]

    def weight(self, *shape, dtype="float32", values=None):
        array = self._values(self.weights, shape, dtype) if values is None else np.asarray(values)
        if array.dtype.kind == "f":
            array = array.astype("float32").astype("float64")
        stored = array.astype("float32") if array.dtype.kind == "f" else array
        return Tensor(self.model.folded("Weight", stored), array)

    def given(self, values, dims=None, kind=None):
        """An input with these values."""
        name = f"x{len(self.inputs)}"
        tensor = self.inputs[name] = Tensor(name, values, kind)
        self.model.input(name, tensor.shape if dims is None else dims, tensor.dtype)
        return tensor

    def output(self, tensor, dims=None):
        """Any value may be an output, also several times."""
        if tensor.name in self.outputs or tensor.name in self.inputs:
            tensor = Tensor(self.model.node("Identity", tensor.name), tensor.array, tensor.kind)
        self.model.output(tensor.name, dims or tensor.shape, tensor.dtype)
        self.outputs[tensor.name] = tensor

    def node(self, op, result, *inputs, kind=None, **attributes):
        names = [value.name if isinstance(value, Tensor) else value for value in inputs]
        return Tensor(self.model.node(op, *names, **attributes), result, kind)

    def nodes(self, op, results, *inputs, **attributes):
        """A node with several results."""
        names = [value.name if isinstance(value, Tensor) else value for value in inputs]
        outputs = self.model.node(op, *names, results=len(results), **attributes)
        return [Tensor(name, result) for name, result in zip(outputs, results)]

    def ints(self, values):
        return Tensor(self.model.constant(np.asarray(values, np.int64)), np.asarray(values))

    # -- Elementwise

    def add(self, a, b):
        return self.node("Add", a.array + b.array, a, b)

    def sub(self, a, b):
        return self.node("Sub", a.array - b.array, a, b)

    def mul(self, a, b):
        return self.node("Mul", a.array * b.array, a, b)

    def relu(self, x):
        return self.node("Relu", np.maximum(x.array, 0), x)

    def neg(self, x):
        return self.node("Neg", -x.array, x)

    def tanh(self, x):
        return self.node("Tanh", np.tanh(x.array), x)

    def sigmoid(self, x):
        return self.node("Sigmoid", 1 / (1 + np.exp(-x.array)), x)

    def exp(self, x):
        return self.node("Exp", np.exp(x.array), x)

    def greater(self, a, b):
        return self.node("Greater", a.array > b.array, a, b)

    def where(self, condition, a, b):
        return self.node("Where", np.where(condition.array, a.array, b.array), condition, a, b)

    def cast(self, x, dtype):
        number = {"float32": 1, "int32": 6, "int64": 7, "bool": 9}[dtype]
        kind = "float64" if dtype == "float32" else dtype
        return self.node("Cast", x.array.astype(kind), x, to=number)

    # -- Shape

    def identity(self, x):
        return self.node("Identity", x.array, x)

    def transpose(self, x, *order):
        return self.node("Transpose", x.array.transpose(order), x, perm=list(order))

    def reshape(self, x, *shape):
        """`shape` as ONNX has it: -1 once, 0 for the same."""
        full = [x.shape[i] if size == 0 else size for i, size in enumerate(shape)]
        return self.node("Reshape", x.array.reshape(full), x, self.ints(shape))

    def expand(self, x, *shape):
        return self.node("Expand", np.broadcast_to(x.array, np.broadcast_shapes(x.shape, shape)),
                         x, self.ints(shape))

    def concat(self, axis, *parts):
        return self.node("Concat", np.concatenate([part.array for part in parts], axis), *parts,
                         axis=axis)

    def slice(self, x, axis, start, stop, step=1):
        index = [slice(None)] * x.array.ndim
        index[axis] = slice(start, stop if step > 0 or stop >= 0 else None, step)
        if step < 0 and stop < 0:
            stop = -2**31
        return self.node("Slice", x.array[tuple(index)], x, self.ints([start]), self.ints([stop]),
                         self.ints([axis]), self.ints([step]))

    def pad(self, x, before, after, value=None, mode="constant"):
        widths = list(zip(before, after))
        options = {"constant_values": value or 0} if mode == "constant" else {}
        array = np.pad(x.array, widths, mode=mode, **options)
        inputs = [x, self.ints([*before, *after])]
        if value is not None:
            inputs.append(self.weight(values=np.float64(value)))
        return self.node("Pad", array, *inputs, mode=mode)

    def split(self, x, axis, *sizes):
        arrays = np.split(x.array, np.cumsum(sizes)[:-1], axis)
        names = self.model.node("Split", x.name, self.ints(sizes).name, results=len(sizes),
                                axis=axis)
        return [Tensor(name, array) for name, array in zip(names, arrays)]

    def gather(self, x, indices, axis):
        return self.node("Gather", np.take(x.array, indices.array, axis), x, indices, axis=axis)

    # -- Contractions and windows

    def matmul(self, a, b):
        return self.node("MatMul", a.array @ b.array, a, b)

    def gemm(self, a, b, c=None, transA=0, transB=0, alpha=1.0, beta=1.0):
        x, y = a.array.T if transA else a.array, b.array.T if transB else b.array
        result = np.float32(alpha) * (x @ y) + (np.float32(beta) * c.array if c else 0)
        inputs = [a, b, c] if c else [a, b]
        return self.node("Gemm", result, *inputs, transA=transA, transB=transB, alpha=float(alpha),
                         beta=float(beta))

    @staticmethod
    def _windows(x, kernel, strides, pads, dilations, fill):
        """The padded input at each place of the window: (place, values of all windows)."""
        rank = len(kernel)
        padded = np.pad(x, [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:])], constant_values=fill)
        sizes = [(size - (k - 1) * d - 1) // s + 1
                 for size, k, s, d in zip(padded.shape[2:], kernel, strides, dilations)]
        for place in itertools.product(*map(range, kernel)):
            index = tuple(slice(p * d, p * d + (n - 1) * s + 1, s)
                          for p, d, n, s in zip(place, dilations, sizes, strides))
            yield place, padded[(slice(None), slice(None), *index)]

    def conv(self, x, w, bias=None, strides=None, pads=None, dilations=None, group=1):
        kernel = w.shape[2:]
        rank = len(kernel)
        strides, dilations = strides or [1] * rank, dilations or [1] * rank
        pads = pads or [0] * (2 * rank)
        result, per_group, out_group = 0, w.shape[1], w.shape[0] // group
        for place, values in self._windows(x.array, kernel, strides, pads, dilations, 0):
            taps = w.array[(slice(None), slice(None), *place)]
            result = result + np.concatenate([
                np.einsum("nc...,oc->no...", values[:, g * per_group:(g + 1) * per_group],
                          taps[g * out_group:(g + 1) * out_group]) for g in range(group)], axis=1)
        if bias:
            result = result + bias.array.reshape(-1, *[1] * rank)
        inputs = [x, w, bias] if bias else [x, w]
        return self.node("Conv", result, *inputs, kernel_shape=list(kernel), strides=strides,
                         pads=pads, dilations=dilations, group=group)

    def max_pool(self, x, kernel, strides=None, pads=None):
        rank = len(kernel)
        strides, pads = strides or [1] * rank, pads or [0] * (2 * rank)
        windows = self._windows(x.array, kernel, strides, pads, [1] * rank, -np.inf)
        result = np.max([values for _, values in windows], axis=0)
        return self.node("MaxPool", result, x, kernel_shape=list(kernel), strides=strides,
                         pads=pads)

    def average_pool(self, x, kernel, strides=None, pads=None, count_include_pad=0):
        rank = len(kernel)
        strides, pads = strides or [1] * rank, pads or [0] * (2 * rank)

        def total(array):
            return sum(values for _, values in
                       self._windows(array, kernel, strides, pads, [1] * rank, 0))
        count = np.prod(kernel) if count_include_pad else total(np.ones_like(x.array))
        return self.node("AveragePool", total(x.array) / count, x, kernel_shape=list(kernel),
                         strides=strides, pads=pads, count_include_pad=count_include_pad)

    # -- Reductions and rows

    def reduce(self, kind, x, axes, keepdims=1):
        array, over = x.array, tuple(axes)
        keep = {"axis": over, "keepdims": bool(keepdims)}
        result = {"Sum": lambda: array.sum(**keep), "Mean": lambda: array.mean(**keep),
                  "Max": lambda: array.max(**keep), "Min": lambda: array.min(**keep),
                  "L2": lambda: np.sqrt((array * array).sum(**keep))}[kind]()
        if kind == "Sum":
            return self.node("ReduceSum", result, x, self.ints(axes), keepdims=keepdims)
        return self.node(f"Reduce{kind}", result, x, axes=list(axes), keepdims=keepdims)

    def arg_max(self, x, axis, keepdims=1):
        result = x.array.argmax(axis)
        return self.node("ArgMax", np.expand_dims(result, axis) if keepdims else result, x,
                         axis=axis, keepdims=keepdims)

    def softmax(self, x, axis):
        shifted = np.exp(x.array - x.array.max(axis, keepdims=True, initial=-np.inf))
        return self.node("Softmax", shifted / shifted.sum(axis, keepdims=True), x, axis=axis)

    def layer_norm(self, x, scale, bias, epsilon=1e-5):
        mean = x.array.mean(-1, keepdims=True)
        variance = ((x.array - mean)**2).mean(-1, keepdims=True)
        result = (x.array - mean) / np.sqrt(variance + np.float32(epsilon))
        return self.node("LayerNormalization", result * scale.array + bias.array, x, scale, bias,
                         axis=-1, epsilon=epsilon)

    # -- Recurrent

    def lstm(self, x, w, r, b, direction="forward"):
        """x: [steps, batch, in]; results Y, Y_h, Y_c."""
        hidden, directions = r.shape[2], r.shape[0]
        batch = x.shape[1]
        ys, hs, cs = [], [], []
        for d in range(directions):
            backward = direction == "reverse" or d == 1
            h = c = np.zeros((batch, hidden))
            steps = []
            for value in x.array[::-1] if backward else x.array:
                bias = b.array[d, :4 * hidden] + b.array[d, 4 * hidden:]
                gates = value @ w.array[d].T + h @ r.array[d].T + bias
                i, o, f, g = np.split(gates, 4, axis=1)
                i, o, f = (1 / (1 + np.exp(-gate)) for gate in (i, o, f))
                c = f * c + i * np.tanh(g)
                h = o * np.tanh(c)
                steps.append(h)
            steps = np.array(steps).reshape(-1, batch, hidden)
            ys.append(steps[::-1] if backward else steps)
            hs.append(h)
            cs.append(c)
        names = self.model.node("LSTM", x.name, w.name, r.name, b.name, results=3,
                                hidden_size=hidden, direction=direction)
        return [Tensor(name, array) for name, array in
                zip(names, (np.stack(ys, axis=1), np.stack(hs), np.stack(cs)))]
