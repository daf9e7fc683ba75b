# Random graphs whose values numpy knows.
# Licensed under Apache-2.0 WITH LLVM-exception.
import numpy as np

from zoo_models import wire

OPSET = 18
FLOATS = ("float32", "float64")
INTEGERS = ("int32", "int64")
SMALL = ("int8", "uint8")


# What may leave much less than it adds up.
SUMS = ("Add", "Sub", "Sum", "Mean", "ReduceSum", "ReduceMean")


def largest(values):
    """The largest finite magnitude of floating-point values; 0 where there is none."""
    arrays = [value.array for value in values if value and value.array.dtype.kind == "f"]
    return max((np.abs(array[np.isfinite(array)]).max(initial=0) for array in arrays), default=0)


class Value:
    """A tensor of the graph. `exact`: every correct implementation computes the same bits, so it may
    be compared, rounded and indexed with. `finite`: it holds neither NaN nor infinity."""

    def __init__(self, name, array, exact, kind):
        self.name, self.array, self.exact, self.kind = name, array, exact, kind
        self.finite = bool(np.isfinite(array).all()) if array.dtype.kind == "f" else True

    @property
    def dtype(self):
        return str(self.array.dtype)

    @property
    def shape(self):
        return self.array.shape


class Node:
    def __init__(self, op, inputs, outputs, attributes):
        self.op, self.inputs, self.outputs, self.attributes = op, inputs, outputs, attributes

    def message(self):
        proto = wire.Message()
        for value in self.inputs:
            proto.data(1, value.name if value else "")
        for value in self.outputs:
            proto.data(2, value.name)
        proto.data(3, f"{self.op}_{self.outputs[0].name}").data(4, self.op)
        for key, attribute in self.attributes.items():
            proto.message(5, wire.attribute(key, attribute))
        return proto


class Graph:
    """Grows node by node; `random` decides everything."""

    def __init__(self, random):
        self.random = random
        self.values, self.nodes = [], []
        self.cancels = False  # a sum of rounded values leaves little but their errors

    # -- Values

    def data(self, dtype, shape):
        """Multiples of an eighth, which sums and differences keep exact; rarely NaN or infinity."""
        kind = np.dtype(dtype).kind
        if kind == "f":
            array = (self.random.integers(-24, 25, shape) / 8).astype(dtype)
            if array.size and self.random.random() < 0.06:
                special = self.random.choice([np.nan, np.inf, -np.inf])
                array.reshape(-1)[self.random.integers(array.size)] = special
            return array
        if kind == "b":
            return self.random.integers(0, 2, shape).astype(bool)
        low = 0 if kind == "u" else -6
        return self.random.integers(low, 7, shape).astype(dtype)

    def size(self):
        return int(self.random.choice([0, 1, 2, 3, 4, 5, 7, 8, 16, 17, 33],
                                      p=[.02, .16, .16, .16, .12, .12, .08, .06, .05, .04, .03]))

    def shape(self, least=0, most=4):
        sizes = [self.size() for _ in range(self.random.integers(least, most + 1))]
        while np.prod(sizes, dtype=np.int64) > 6000:
            sizes[int(np.argmax(sizes))] = 2
        return tuple(sizes)

    def add(self, array, kind, exact=True):
        value = Value(f"v{len(self.values)}", np.asarray(array), exact, kind)
        self.values.append(value)
        return value

    def source(self, dtype, shape):
        """An input of the model or a constant."""
        kind = "constant" if self.random.random() < 0.35 else "input"
        return self.add(self.data(dtype, shape), kind)

    def constant(self, array):
        return self.add(np.asarray(array), "constant")

    def integers(self, values):
        """A list that shapes or axes follow from."""
        return self.constant(np.asarray(values, np.int64))

    def pick(self, *dtypes, rank=None, least=0, exact=False, finite=False, filled=False):
        """A value of the graph with these properties, or a new one."""
        fits = [value for value in self.values
                if value.dtype in dtypes and len(value.shape) >= least
                and (rank is None or len(value.shape) == rank)
                and (value.exact or not exact) and (value.finite or not finite)
                and (value.array.size or not filled) and value.array.size <= 20000]
        # Later values first, so that graphs grow deep.
        if fits and self.random.random() < 0.85:
            return fits[-1 - min(int(self.random.exponential(2.5)), len(fits) - 1)]
        shape = self.shape(least if rank is None else rank, max(least, 4) if rank is None else rank)
        if filled:
            shape = tuple(max(1, size) for size in shape)
        value = self.source(str(self.random.choice(dtypes)), shape)
        if finite and not value.finite:
            value.array = np.nan_to_num(value.array, nan=1, posinf=2, neginf=-2)
            value.finite = True
        return value

    def axis(self, value):
        """A random axis, from the front or from the back."""
        rank = len(value.shape)
        return int(self.random.integers(-rank, rank))

    def chance(self, probability):
        return self.random.random() < probability

    # -- Nodes

    def node(self, op, inputs, results, exact=None, **attributes):
        """Adds a node with its numpy results. `exact`: None where it is as exact as its inputs."""
        if exact is None:
            exact = all(value.exact for value in inputs if value)
        outputs = [self.add(result, "result", exact) for result in results]
        self.cancels |= not exact and op in SUMS and largest(outputs) < 1e-3 * largest(inputs)
        self.nodes.append(Node(op, list(inputs), outputs, attributes))
        return outputs[0]


def write(folder, nodes, random, symbols=True):
    """Writes a model of these nodes with a data set. What they read and none of them makes is an
    input or, where it was a constant, an initializer; what none of them reads is an output."""
    import os
    made = {value.name for node in nodes for value in node.outputs}
    read = {value.name: value for node in nodes for value in node.inputs if value}
    outputs = [value for node in nodes for value in node.outputs if value.name not in read]
    inputs = [value for value in read.values() if value.name not in made]
    graph = wire.Message()
    for node in nodes:
        graph.message(1, node.message())
    graph.data(2, "random")
    given = []
    for value in inputs:
        if value.kind == "constant":
            graph.message(5, wire.tensor(value.array, value.name))
            continue
        given.append(value)
        # Equal symbols would promise equal sizes; each has its own.
        dims = [f"{value.name}_{i}" if symbols and random.random() < 0.3 else size
                for i, size in enumerate(value.shape)]
        graph.message(11, wire.value_info(value.name, value.dtype, dims))
    for value in outputs:
        graph.message(12, wire.value_info(value.name, value.dtype, [f"{value.name}_{i}" for i in range(len(value.shape))]))
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    wire.Message().integer(1, 8).data(2, "graph fuzzer").message(7, graph).message(
        8, wire.Message().data(1, "").integer(2, OPSET)).write(os.path.join(folder, "model.onnx"))
    for stem, values in (("input", given), ("output", outputs)):
        for i, value in enumerate(values):
            wire.tensor(value.array, value.name).write(os.path.join(data, f"{stem}_{i}.pb"))
