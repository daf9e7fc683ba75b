# Builds an ONNX graph node by node, with the names that PyTorch's exporter gives.
# Licensed under Apache-2.0 WITH LLVM-exception.
from contextlib import contextmanager

import numpy as np

from . import wire


class Model:
    """One graph with seeded random weights.

    Nodes are named after the module they stand in: `/encoder/layer.0/attention/self/query/MatMul`,
    their results `..._output_0`, parameters `encoder.layer.0.attention.self.query.bias`.
    """

    # Weights of so many numbers become inputs: the file is small, and a run brings them.
    weights_as_inputs = None

    def __init__(self, name, seed, batch, opset):
        self.name = name
        self.batch = batch if batch else "batch"
        self.opset = opset
        self.random = np.random.default_rng(seed)
        self._path = []
        self._domains = {"": opset}
        self._counts = {}
        self._nodes = []
        self._initializers = []
        self._initializer_names = set()
        self._inputs = []
        self._outputs = []

    @contextmanager
    def scope(self, *parts):
        """Everything built inside belongs to the module of this name."""
        self._path += parts
        yield self
        del self._path[len(self._path) - len(parts):]

    # -- Graph inputs and outputs

    def input(self, name, dims, dtype="float32"):
        self._inputs.append(wire.value_info(name, dtype, dims))
        return name

    def output(self, name, dims, dtype="float32"):
        """Declares a value, which a node wrote with `out=name`, as an output of the graph."""
        self._outputs.append(wire.value_info(name, dtype, dims))

    # -- Nodes

    def _unique(self, key):
        count = self._counts.get(key, 0)
        self._counts[key] = count + 1
        return f"{key}_{count}" if count else key

    def node(self, op, *inputs, out=None, results=1, domain="", **attributes):
        """Adds a node and returns the name of its result (a list of names for several).

        `domain` is "", or another one and its version: "ai.onnx.ml:3".
        """
        name = self._unique("/" + "/".join(self._path + [op]))
        outputs = [out] if isinstance(out, str) else out
        outputs = outputs or [f"{name}_output_{i}" for i in range(results)]
        proto = wire.Message()
        for value in inputs:
            proto.data(1, value)
        for value in outputs:
            proto.data(2, value)
        proto.data(3, name).data(4, op)
        if domain:
            domain, version = domain.split(":")
            self._domains[domain] = int(version)
            proto.data(7, domain)
        for key, value in attributes.items():
            proto.message(5, wire.attribute(key, value))
        self._nodes.append(proto)
        return outputs[0] if len(outputs) == 1 else outputs

    def constant(self, value, dtype=None):
        """A Constant node: integers become int64, floats float32 unless told otherwise."""
        array = np.asarray(value)
        if dtype is None:
            dtype = "float32" if array.dtype.kind == "f" else "int64"
        return self.node("Constant", value=array.astype(dtype))

    # -- Weights

    def parameter(self, name, array):
        """An initializer that keeps its name: `<module>.name`."""
        return self._initializer(".".join(self._path + [name]), array)

    def folded(self, op, array):
        """An initializer that the exporter computed, for example a transposed weight."""
        return self._initializer(f"onnx::{op}_{100 + len(self._initializer_names)}", array)

    def _initializer(self, name, array):
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        assert name not in self._initializer_names, name
        self._initializer_names.add(name)
        if self.weights_as_inputs and array.size >= self.weights_as_inputs:
            return self.input(name, array.shape, str(array.dtype))
        self._initializers.append(wire.tensor(array, name))
        return name

    def normal(self, shape, deviation):
        values = self.random.standard_normal(shape, dtype=np.float32)
        values *= np.float32(deviation)
        return values

    def uniform(self, shape, low, high):
        return self.random.uniform(low, high, shape).astype(np.float32)

    # -- Shape arithmetic, spelled out as exporters do

    def dim(self, value, axis):
        """The size of one dimension as a scalar: Shape, Gather."""
        return self.node("Gather", self.node("Shape", value), self.constant(axis), axis=0)

    def shape(self, *sizes):
        """A shape vector from scalars and numbers: Unsqueeze each, Concat."""
        axis = self.constant([0])
        parts = [self.constant([size]) if isinstance(size, int)
                 else self.node("Unsqueeze", size, axis) for size in sizes]
        return self.node("Concat", *parts, axis=0)

    def reshape(self, value, *sizes, out=None):
        return self.node("Reshape", value, self.shape(*sizes), out=out)

    def write(self, path):
        graph = wire.Message()
        for proto in self._nodes:
            graph.message(1, proto)
        graph.data(2, "main_graph")
        for proto in self._initializers:
            graph.message(5, proto)
        for field, protos in ((11, self._inputs), (12, self._outputs)):
            for proto in protos:
                graph.message(field, proto)
        model = wire.Message().integer(1, 8).data(2, "lathe-zoo").data(6, self.name)
        model.message(7, graph)
        for domain, version in self._domains.items():
            model.message(8, wire.Message().data(1, domain).integer(2, version))
        model.write(path)
