# Writes ONNX models with control flow, and data sets that numpy computes.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: control.py FOLDER [hostile]

Writes FOLDER/test_<name>/model.onnx with a data set for each list of inputs; `hostile`: models and
inputs as .npy that make their runs fail.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "..", "utils"))
from zoo_models import wire
from zoo_models.wire import Message, value_info

import numpy as np

TRUE = np.array(True)


def node(op, inputs, outputs, domain="", **attributes):
    proto = Message().data(7, domain)
    for value in inputs.split():
        proto.data(1, "" if value == "-" else value)
    for value in outputs.split():
        proto.data(2, value)
    proto.data(3, "the_" + op + "_" + outputs.split()[0]).data(4, op)
    for name, value in attributes.items():
        if isinstance(value, Message):  # a graph
            proto.message(5, Message().data(1, name).message(6, value).integer(20, 5))
        else:
            proto.message(5, wire.attribute(name, value))
    return proto


def const(name, value, dtype=np.float32):
    return node("Constant", "", name, value=np.array(value, dtype))


def graph(inputs, nodes, outputs):
    """A subgraph: its inputs and outputs need no types."""
    proto = Message()
    for value in nodes:
        proto.message(1, value)
    proto.data(2, "body")
    for field, names in ((11, inputs), (12, outputs)):
        for name in names.split():
            proto.message(field, Message().data(1, name))
    return proto


class Cases:
    def __init__(self, root):
        self.root = root
        self.random = np.random.default_rng(1)

    def floats(self, *shape):
        return self.random.uniform(-1, 1, shape).astype(np.float32)

    def add(self, name, inputs, nodes, outputs, data, reference, opset=17):
        """`inputs` are (name, dtype, dims) or (name, type); `outputs` names; `reference` computes
        them."""
        folder = os.path.join(self.root, "test_" + name)
        os.makedirs(folder)
        proto = graph("", nodes, outputs)
        for value in inputs:
            proto.message(11, (wire.typed_info if len(value) == 2 else value_info)(*value))
        Message().integer(1, 8).data(2, "control").message(7, proto).message(
            8, Message().data(1, "").integer(2, opset)).message(
                8, Message().data(1, "ai.onnx.ml").integer(2, 3)).write(
                    os.path.join(folder, "model.onnx"))
        for number, arrays in enumerate(data):
            values = reference(*arrays)
            values = values if isinstance(values, tuple) else (values,)
            path = os.path.join(folder, f"test_data_set_{number}")
            os.makedirs(path)
            for stem, group in (("input", arrays), ("output", values)):
                for i, array in enumerate(group):
                    wire.value(array).write(os.path.join(path, f"{stem}_{i}.pb"))


def count(value):
    return np.array(value, np.int64)


def loops(cases):
    # Counted by data, zero and negative counts, a stacked result, a value from around.
    body = graph("i c a", [node("Identity", "c", "c2"), node("Cast", "i", "f", to=1),
                           node("Add", "a f", "a1"), node("Mul", "a1 x", "a2"),
                           node("Mul", "a a2", "p")], "c2 a2 p")

    def counted(n, x):
        a, parts = x, []
        for i in range(int(n)):
            before, a = a, ((a + np.float32(i)) * x).astype(np.float32)
            parts.append(before * a)
        return a, np.array(parts, np.float32).reshape(len(parts), len(x))

    cases.add("counted", [("n", "int64", []), ("x", "float32", ["s"])],
              [const("yes", True, bool), node("Loop", "n yes x", "y z", body=body)], "y z",
              [(count(n), cases.floats(s)) for n, s in ((3, 4), (0, 2), (-2, 3), (17, 1))], counted)

    # The data decides when it ends; how many parts there are is not known before.
    body = graph("i c a", [const("two", 2), const("limit", 100), node("Mul", "a two", "a2"),
                           node("Less", "a2 limit", "c2"), node("Mul", "v a2", "p"),
                           node("Identity", "i", "q")], "c2 a2 p q")

    def conditional(n, go, x, v):
        parts, ids, i = [], [], 0
        while go and i < n:
            x = np.float32(x * 2)
            go = x < 100
            parts.append(v * x)
            ids.append(i)
            i += 1
        return (np.float32(x), np.array(parts, np.float32).reshape(len(parts), 2),
                np.array(ids, np.int64))

    two = cases.floats(2)
    cases.add("conditional", [("n", "int64", []), ("go", "bool", []), ("x", "float32", []),
                              ("v", "float32", [2])],
              [node("Loop", "n go x", "y z ids", body=body)], "y z ids",
              [(count(n), np.array(go), np.float32(x), two) for n, go, x in
               ((1000, True, 1), (1000, True, 1e-9), (5, True, 1), (5, False, 1))], conditional)

    # Without a count; the condition alone.
    body = graph("i c a", [const("half", 0.5), const("least", 0.01), node("Mul", "a half", "a2"),
                           node("ReduceMax", "a2", "m", keepdims=0),
                           node("Greater", "m least", "c2")], "c2 a2")

    def halved(x):
        while True:
            x = x * np.float32(0.5)
            if not x.max() > np.float32(0.01):
                return x

    cases.add("uncounted", [("x", "float32", [3])],
              [const("yes", True, bool), node("Loop", "- yes x", "y", body=body)], "y",
              [(np.abs(cases.floats(3)),)], halved)

    # Two values change places, one of them changed on the way.
    body = graph("i c a b", [node("Identity", "c", "c2"), node("Neg", "b", "a2"),
                             node("Identity", "a", "b2")], "c2 a2 b2")

    def swapped(n, a, b):
        for _ in range(int(n)):
            a, b = -b, a
        return a, b

    cases.add("swapped", [("n", "int64", []), ("a", "float32", ["s"]), ("b", "float32", ["s"])],
              [const("yes", True, bool), node("Loop", "n yes a b", "y z", body=body)], "y z",
              [(count(n), cases.floats(5), cases.floats(5)) for n in (0, 1, 2, 5)], swapped)

    # Sizes grow from one iteration to the next, and change places as well.
    body = graph("i c a b", [node("Identity", "c", "c2"), node("Concat", "b a", "a2", axis=0),
                             node("Identity", "a", "b2")], "c2 a2 b2")

    def grown(n, a, b):
        for _ in range(int(n)):
            a, b = np.concatenate([b, a]), a
        return a, b

    cases.add("grown", [("n", "int64", []), ("a", "float32", ["s", 2]), ("b", "float32", ["t", 2])],
              [const("yes", True, bool), node("Loop", "n yes a b", "y z", body=body)], "y z",
              [(count(n), cases.floats(2, 2), cases.floats(3, 2)) for n in (0, 1, 2, 9)], grown)

    # A loop in a loop, whose count follows from the outer one; both stack.
    inner = graph("j d b", [node("Identity", "d", "d2"), node("Add", "i j", "k"),
                            node("Cast", "k", "f", to=1), node("Add", "b f", "b2"),
                            node("Sub", "b2 x", "p")], "d2 b2 p")
    body = graph("i c a", [const("one", 1, np.int64), node("Add", "i one", "m"),
                           node("Loop", "m c a", "a2 q", body=inner),
                           node("ReduceSum", "q", "r", keepdims=0), node("Identity", "c", "c2")],
                 "c2 a2 r")

    def nested(n, x):
        a, sums = x, []
        for i in range(int(n)):
            total = np.float32(0)
            for j in range(i + 1):
                a = a + np.float32(i + j)
                total += np.sum(a - x, dtype=np.float32)
            sums.append(total)
        return a, np.array(sums, np.float32)

    cases.add("nested", [("n", "int64", []), ("x", "float32", [3])],
              [const("yes", True, bool), node("Loop", "n yes x", "y z", body=body)], "y z",
              [(count(n), cases.floats(3)) for n in (0, 1, 4)], nested)

    # A branch in a loop makes the value shorter, now and then.
    shorter = graph("", [node("Constant", "", "from", value_ints=[1]),
                         node("Constant", "", "to", value_ints=[1000]),
                         node("Slice", "a from to", "s")], "s")
    same = graph("", [node("Identity", "a", "t")], "t")
    body = graph("i c a", [const("two", 2, np.int64), const("zero", 0, np.int64),
                           node("Mod", "i two", "m"), node("Equal", "m zero", "e"),
                           node("If", "e", "a2", then_branch=shorter, else_branch=same),
                           node("Identity", "c", "c2")], "c2 a2")
    cases.add("shortened", [("n", "int64", []), ("x", "float32", ["s"])],
              [const("yes", True, bool), node("Loop", "n yes x", "y", body=body)], "y",
              [(count(n), cases.floats(9)) for n in (0, 1, 4, 30)],
              lambda n, x: x[(max(int(n), 0) + 1) // 2:])

    # An inner product with weights: what a recurrent layer written as a loop does.
    w, r = cases.floats(4, 3), cases.floats(3, 3)
    body = graph("i c h", [node("Gather", "x i", "xt", axis=0), node("MatMul", "xt w", "a"),
                           node("MatMul", "h r", "b"), node("Add", "a b", "s"),
                           node("Tanh", "s", "h2"), node("Identity", "c", "c2"),
                           node("Identity", "h2", "p")], "c2 h2 p")

    def recurrent(x, h):
        parts = []
        for xt in x:
            h = np.tanh(xt @ w + h @ r)
            parts.append(h)
        return h, np.array(parts, np.float32).reshape(len(x), *h.shape)

    cases.add("recurrent", [("x", "float32", ["t", "b", 4]), ("h", "float32", ["b", 3])],
              [const("w", w), const("r", r), const("yes", True, bool), node("Shape", "x", "shape"),
               const("first", 0, np.int64), node("Gather", "shape first", "n", axis=0),
               node("Loop", "n yes h", "y z", body=body)], "y z",
              [(cases.floats(t, b, 4), cases.floats(b, 3)) for t, b in ((3, 2), (1, 1), (7, 5))],
              recurrent)


def branches(cases):
    doubled = graph("", [node("Concat", "x x", "t", axis=0), node("Neg", "h", "u")], "t u")
    first = graph("", [node("Constant", "", "from", value_ints=[0]),
                       node("Constant", "", "to", value_ints=[1]),
                       node("Slice", "x from to", "e"), node("Identity", "h", "f")], "e f")
    cases.add("branch_sizes", [("c", "bool", []), ("x", "float32", ["s", 3])],
              [node("Exp", "x", "h"), node("If", "c", "y z", then_branch=doubled, else_branch=first)],
              "y z", [(np.array(c), cases.floats(4, 3)) for c in (True, False)],
              lambda c, x: (np.concatenate([x, x]), -np.exp(x)) if c else (x[:1], np.exp(x)))

    # The branches give different ranks: what follows is there twice.
    flat = graph("", [node("Constant", "", "axis", value_ints=[1]),
                      node("Squeeze", "x axis", "t")], "t")
    same = graph("", [node("Identity", "x", "e")], "e")
    nodes = [node("Shape", "x", "shape"), const("one", 1, np.int64),
             node("Gather", "shape one", "size", axis=0), node("Equal", "size one", "c"),
             node("If", "c", "h", then_branch=flat, else_branch=same), node("Relu", "h", "r"),
             node("ReduceSum", "r", "y", keepdims=0), node("Neg", "x", "z")]
    cases.add("branch_ranks", [("x", "float32", ["s", "t", 2])], nodes, "y z",
              [(cases.floats(4, t, 2),) for t in (1, 3)],
              lambda x: (np.sum(np.maximum(x, 0), dtype=np.float32), -x))


def scans(cases):
    body = graph("h xt vt", [node("Add", "h xt", "h2"), node("Mul", "h2 xt", "p"),
                             node("Exp", "vt", "q")], "h2 p q")

    def scanned(h, x, v):
        p, q = [], []
        for i in range(len(x)):
            h = h + x[len(x) - 1 - i]
            p.append(h * x[len(x) - 1 - i])
            q.append(np.exp(v[:, i]))
        return h, np.stack(p, 1), np.stack(q[::-1], 0)

    cases.add("scan", [("h", "float32", ["b", 4]), ("x", "float32", ["t", "b", 4]),
                       ("v", "float32", ["b", "t", 2])],
              [node("Scan", "h x v", "y p q", body=body, num_scan_inputs=2, scan_input_axes=[0, 1],
                    scan_input_directions=[1, 0], scan_output_axes=[-2, 0],
                    scan_output_directions=[0, 1])], "y p q",
              [(cases.floats(b, 4), cases.floats(t, b, 4), cases.floats(b, t, 2))
               for t, b in ((3, 2), (5, 1))], scanned)

    # Version 8 has a batch, and lengths.
    body = graph("h xt", [node("Add", "h xt", "h2"), node("Neg", "h2", "p")], "h2 p")

    def batched(lengths, h, x):
        states, outputs = [], np.zeros_like(x)
        for b, length in enumerate(lengths):
            state = h[b]
            for t in range(length):
                state = state + x[b, t]
                outputs[b, t] = -state
            states.append(state)
        return np.array(states, np.float32), outputs

    cases.add("scan_8", [("n", "int64", ["b"]), ("h", "float32", ["b", 2]),
                         ("x", "float32", ["b", "t", 2])],
              [node("Scan", "n h x", "y z", body=body, num_scan_inputs=1)], "y z",
              [(np.array([3, 1], np.int64), cases.floats(2, 2), cases.floats(2, 3, 2)),
               (np.array([4], np.int64), cases.floats(1, 2), cases.floats(1, 4, 2))], batched,
              opset=8)


def hostile(cases):
    """No data sets: what their runs do is in the test."""
    body = graph("i c a", [node("Identity", "c", "c2"), node("Neg", "a", "a2"),
                           node("Identity", "a", "p")], "c2 a2 p")
    cases.add("counts", [("n", "int64", []), ("x", "float32", [4])],
              [const("yes", True, bool), node("Loop", "n yes x", "y z", body=body)], "y z", [], None)
    body = graph("i c a", [node("Identity", "c", "c2"), node("Neg", "a", "a2")], "c2 a2")
    cases.add("endless", [("x", "float32", [4])],
              [const("yes", True, bool), node("Loop", "- yes x", "y", body=body)], "y", [], None)
    for name, value in (("two", 2), ("most", np.iinfo(np.int64).max), ("many", 1 << 42)):
        np.save(os.path.join(cases.root, name + ".npy"), count(value))
    np.save(os.path.join(cases.root, "x.npy"), cases.floats(4))


def main(root, which):
    cases = Cases(root)
    if which == "hostile":
        hostile(cases)
        return
    loops(cases)
    branches(cases)
    scans(cases)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "")
