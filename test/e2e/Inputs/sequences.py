# Writes ONNX models with sequences, optionals and maps, and data sets that numpy computes.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: sequences.py FOLDER [hostile]

Writes FOLDER/test_<name>/model.onnx with a data set for each list of inputs; `hostile`: models and
inputs as .pb that make their runs fail.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from control import Cases, const, count, graph, node
from zoo_models import wire
from zoo_models.wire import Message, Optional, map_type, optional_type, sequence_type, tensor_type

import numpy as np

FLOATS = sequence_type(tensor_type("float32", ["?"]))


def strings(*items):
    return np.array(items, object)


def at(items, position):
    return items[int(position)]


def editing(cases):
    # Every operation at a position that the data gives, from the front and from the end.
    nodes = [node("SequenceInsert", "xs x p", "inserted"), node("SequenceErase", "xs q", "erased"),
             node("SequenceAt", "xs q", "item"), node("SequenceLength", "inserted", "n"),
             node("SequenceInsert", "xs x", "appended"), node("SequenceErase", "appended", "popped")]

    def edit(xs, x, p, q):
        where = int(p) if p >= 0 else int(p) + len(xs)
        inserted = xs[:where] + [x] + xs[where:]
        erased = list(xs)
        erased.pop(int(q))
        return inserted, erased, at(xs, q), count(len(inserted)), xs + [x], xs

    xs = [cases.floats(n) for n in (3, 0, 1, 5)]
    cases.add("editing", [("xs", FLOATS), ("x", "float32", ["k"]), ("p", "int64", []),
                          ("q", "int32", [])], nodes,
              "inserted erased item n appended popped",
              [(xs[:n], cases.floats(4), count(p), np.int32(q)) for n, p, q in
               ((4, 0, 0), (4, 4, 3), (4, -4, -4), (4, -1, 1), (1, 1, -1))], edit)
    # An empty sequence, which only insertion takes.
    cases.add("from_empty", [("xs", FLOATS), ("x", "float32", ["k"])],
              [node("SequenceInsert", "xs x", "ys"), node("SequenceLength", "xs", "n")], "ys n",
              [([], cases.floats(2)), ([cases.floats(3)], cases.floats(1))],
              lambda xs, x: (xs + [x], count(len(xs))))
    # Two sequences that go on from one: neither sees what the other got.
    cases.add("forked", [("xs", FLOATS), ("a", "float32", [2]), ("b", "float32", [2])],
              [node("SequenceInsert", "xs a", "one"), node("SequenceInsert", "one a", "left"),
               node("SequenceInsert", "one b", "right"), node("SequenceInsert", "left b", "longer")],
              "one left right longer", [([cases.floats(1)], cases.floats(2), cases.floats(2))],
              lambda xs, a, b: (xs + [a], xs + [a, a], xs + [a, b], xs + [a, a, b]))


def splitting(cases):
    data = [("x", "float32", ["r", 6])]
    parts = data + [("sizes", "int64", ["k"])]

    def cut(x, sizes):
        ends = np.cumsum(sizes)
        pieces = [x[:, end - size:end] for size, end in zip(sizes, ends)]
        return pieces, np.concatenate(pieces, 1)

    cases.add("split_by_list", parts,
              [node("SplitToSequence", "x sizes", "xs", axis=1),
               node("ConcatFromSequence", "xs", "y", axis=-1)], "xs y",
              [(cases.floats(3, 6), np.array(sizes)) for sizes in
               ([2, 4], [1, 1, 1, 3], [6], [0, 6, 0])], cut)
    cases.add("split_by_size", data + [("size", "int64", [])],
              [node("SplitToSequence", "x size", "xs", axis=0),
               node("SequenceLength", "xs", "n")], "xs n",
              [(cases.floats(rows, 6), count(size)) for rows, size in ((5, 2), (4, 4), (3, 7), (1, 1))],
              lambda x, size: ([x[i:i + size] for i in range(0, len(x), int(size))],
                               count(-(-len(x) // int(size)))))
    cases.add("rows", data,
              [node("SplitToSequence", "x", "xs", axis=0, keepdims=0),
               node("ConcatFromSequence", "xs", "y", axis=1, new_axis=1)], "xs y",
              [(cases.floats(rows, 6),) for rows in (1, 2, 5)],
              lambda x: ([row for row in x], x.T.copy()))


def loops(cases):
    # A sequence that grows in a loop whose count is data; what is put in changes its size.
    body = graph("i c s", [node("Identity", "c", "c2"), const("one", 1, np.int64),
                           node("Add", "i one", "i1"), const("axes", [0], np.int64),
                           node("Unsqueeze", "i1 axes", "end"), const("start", [0], np.int64),
                           node("Slice", "x start end", "part"),
                           node("SequenceInsert", "s part", "s2")], "c2 s2")
    cases.add("grown", [("n", "int64", []), ("x", "float32", ["k"]), ("xs", FLOATS)],
              [const("yes", True, bool), node("Loop", "n yes xs", "ys", body=body)], "ys",
              [(count(n), cases.floats(9), [cases.floats(2)] * k) for n, k in
               ((0, 0), (1, 0), (9, 0), (5, 3))],
              lambda n, x, xs: xs + [x[:i + 1] for i in range(int(n))])
    # Items taken out and summed.
    body = graph("i c sum s", [node("Identity", "c", "c2"), node("SequenceAt", "s i", "item"),
                               node("Add", "sum item", "sum2"),
                               node("SequenceErase", "s i", "without"),
                               node("SequenceInsert", "without sum2 i", "s2")], "c2 sum2 s2")

    def running(xs, x):
        sums = []
        for item in xs:
            x = x + item
            sums.append(x)
        return x, sums

    fixed = sequence_type(tensor_type("float32", [3]))
    cases.add("summed", [("xs", fixed), ("x", "float32", [3])],
              [const("yes", True, bool), node("SequenceLength", "xs", "n"),
               node("Loop", "n yes x xs", "y ys", body=body)], "y ys",
              [([cases.floats(3) for _ in range(n)], cases.floats(3)) for n in (0, 1, 6)], running)
    # Two sequences and a tensor at once; items of different sizes.
    body = graph("a b t", [node("Add", "a b", "sum"), node("Mul", "sum t", "y"),
                           node("Shape", "a", "n")], "y n")
    cases.add("mapped", [("xs", FLOATS), ("ys", FLOATS), ("t", "float32", [])],
              [node("SequenceMap", "xs ys t", "zs ns", body=body)], "zs ns",
              [([cases.floats(n) for n in sizes], [cases.floats(n) for n in sizes],
                cases.floats()) for sizes in ((), (2,), (1, 4, 3))],
              lambda xs, ys, t: ([(x + y) * t for x, y in zip(xs, ys)],
                                 [np.array(x.shape, np.int64) for x in xs]))


def choices(cases):
    # Branches that give sequences of different lengths.
    then = graph("", [node("SequenceInsert", "xs x", "one")], "one")
    other = graph("", [node("SequenceErase", "xs", "none")], "none")
    cases.add("chosen", [("go", "bool", []), ("xs", FLOATS), ("x", "float32", ["k"])],
              [node("If", "go", "ys", then_branch=then, else_branch=other),
               node("SequenceLength", "ys", "n")], "ys n",
              [(np.array(go), [cases.floats(2), cases.floats(1)], cases.floats(3))
               for go in (True, False)],
              lambda go, xs, x: (xs + [x], count(3)) if go else (xs[:-1], count(1)))
    then = graph("", [node("OptionalGetElement", "x", "held"), node("Neg", "held", "one")], "one")
    other = graph("", [node("Identity", "z", "none")], "none")
    maybe = optional_type(tensor_type("float32", ["k"]))
    cases.add("optional", [("x", maybe), ("z", "float32", [2])],
              [node("OptionalHasElement", "x", "has"),
               node("If", "has", "y", then_branch=then, else_branch=other),
               node("Identity", "x", "same")], "y has same",
              [(Optional(x), cases.floats(2)) for x in (None, cases.floats(3), cases.floats(0))],
              lambda x, z: (z if x.value is None else -x.value, np.array(x.value is not None), x),
              opset=18)
    then = graph("", [node("OptionalGetElement", "xs", "held"), node("SequenceLength", "held", "n")],
                 "n")
    other = graph("", [const("minus", -1, np.int64)], "minus")
    cases.add("optional_sequence", [("xs", optional_type(FLOATS))],
              [node("OptionalHasElement", "xs", "has"),
               node("If", "has", "n", then_branch=then, else_branch=other)], "n",
              [(Optional(xs),) for xs in (None, [], [cases.floats(1), cases.floats(2)])],
              lambda xs: count(-1 if xs.value is None else len(xs.value)), opset=18)
    cases.add("wrapped", [("x", "float32", [2]), ("xs", FLOATS)],
              [node("Optional", "x", "a"), node("Optional", "xs", "b")], "a b",
              [(cases.floats(2), [cases.floats(n) for n in (2, 1)])],
              lambda x, xs: (Optional(x), Optional(xs)), opset=18)


def types(cases):
    for name, make in (("int8", lambda n: np.arange(n, dtype=np.int8) - 2),
                       ("float16", lambda n: cases.floats(n).astype(np.float16)),
                       ("float64", lambda n: cases.floats(n).astype(np.float64)),
                       ("bool", lambda n: np.arange(n) % 2 == 0)):
        kind = sequence_type(tensor_type(name, ["?"]))
        cases.add("of_" + name, [("xs", kind), ("p", "int64", [])],
                  [node("SequenceAt", "xs p", "x"), node("SequenceInsert", "xs x", "ys"),
                   node("ConcatFromSequence", "ys", "y", axis=0)], "x ys y",
                  [([make(n) for n in (3, 1, 4)], count(p)) for p in (0, -1)],
                  lambda xs, p: (at(xs, p), xs + [at(xs, p)], np.concatenate(xs + [at(xs, p)])))
    texts = sequence_type(tensor_type("object", ["?"]))
    cases.add("of_strings", [("xs", texts), ("p", "int64", [])],
              [node("SequenceAt", "xs p", "x"), node("StringConcat", "x x", "twice"),
               node("SequenceInsert", "xs twice", "ys"),
               node("ConcatFromSequence", "ys", "y", axis=0)], "ys y",
              [([strings("a", "", "\u00e4\u4e2d"), strings("long " * 20)], count(p)) for p in (0, 1)],
              lambda xs, p: (xs + [at(xs, p) + at(xs, p)],
                             np.concatenate(xs + [at(xs, p) + at(xs, p)])), opset=20)
    # Elements that share bytes do so in every item.
    def int4(*elements):
        bits = [element & 15 for element in elements] + [0]
        packed = bytes(a | b << 4 for a, b in zip(bits[0:len(elements):2], bits[1::2]))
        return Message().integer(1, len(elements)).integer(2, wire.NARROW_DTYPES["int4"]).data(9, packed)

    odd, even = (-8, 7, 3), (1, -1, -2, 5)
    cases.add("of_int4", [("xs", sequence_type(tensor_type("int4", ["?"]))), ("p", "int64", [])],
              [node("SequenceAt", "xs p", "x"), node("Cast", "x", "wide", to=6),
               node("SequenceInsert", "xs x", "ys"),
               node("ConcatFromSequence", "ys", "y", axis=0)], "x wide ys y",
              [([int4(*odd), int4(*even)], count(0))],
              lambda xs, p: (int4(*odd), np.array(odd, np.int32), xs + [int4(*odd)],
                             int4(*odd, *even, *odd)), opset=21)
    # Items of any rank go through.
    anything = sequence_type(tensor_type("float32", None))
    cases.add("of_any_rank", [("xs", anything), ("p", "int64", [])],
              [node("SequenceAt", "xs p", "x"), node("SequenceInsert", "xs x p", "ys")], "ys",
              [([cases.floats(2, 3), cases.floats(), cases.floats(1)], count(p)) for p in (0, 1, 2)],
              lambda xs, p: xs[:int(p)] + [at(xs, p)] + xs[int(p):])


def maps(cases):
    ml = {"domain": "ai.onnx.ml"}
    scores = [("x", "float32", ["n", 3])]
    cases.add("zipped", scores, [node("ZipMap", "x", "y", classlabels_int64s=[7, -1, 3], **ml)], "y",
              [(cases.floats(n, 3),) for n in (1, 4, 0)],
              lambda x: [dict(zip((7, -1, 3), row)) for row in x])
    names = ["b", "a", "long name"]
    cases.add("zipped_by_name", [("x", "float32", [2, 3])],
              [node("ZipMap", "x", "y", classlabels_strings=names, **ml)], "y",
              [(cases.floats(2, 3),)], lambda x: [dict(zip(names, row)) for row in x])
    words = map_type("object", tensor_type("float32", []))
    cases.add("vectorized", [("x", words)],
              [node("DictVectorizer", "x", "y", string_vocabulary=["a", "b", "c", "d"], **ml)], "y",
              [(x,) for x in ({"c": 1.5, "a": -2.0}, {"z": 1.0}, {"d": 4.0, "b": 2.0, "q": 9.0})],
              lambda x: np.array([[x.get(word, 0) for word in "abcd"]], np.float32))
    numbers = map_type("int64", tensor_type("float32", []))
    data = [({5: 1.5, 1: 2.5, 3: -1.0},), ({0: 7.0},)]
    cases.add("cast_dense", [("x", numbers)], [node("CastMap", "x", "y", cast_to="TO_INT64", **ml)],
              "y", data, lambda x: np.array([[int(x[key]) for key in sorted(x)]], np.int64))
    cases.add("cast_sparse", [("x", numbers)],
              [node("CastMap", "x", "y", map_form="SPARSE", max_map=4, **ml)], "y", data,
              lambda x: np.array([[x.get(key, 0) for key in range(4)]], np.float32))


def hostile(root):
    def write(name, inputs, nodes, outputs, **values):
        folder = os.path.join(root, name)
        os.makedirs(folder)
        proto = graph("", nodes, outputs)
        for each in inputs:
            proto.message(11, wire.typed_info(*each))
        Message().integer(1, 8).data(2, "test").message(7, proto).message(
            8, Message().data(1, "").integer(2, 18)).write(os.path.join(folder, "model.onnx"))
        for stem, held in values.items():
            wire.value(held).write(os.path.join(folder, stem + ".pb"))

    scalar = tensor_type("int64", [])
    item = np.zeros(2, np.float32)
    write("position", [("xs", FLOATS), ("p", scalar)], [node("SequenceAt", "xs p", "y")], "y",
          xs=[item, item], p=count(2), low=count(-3), least=np.array(-2**63, np.int64))
    write("insert", [("xs", FLOATS), ("p", scalar)],
          [const("x", [1, 2]), node("SequenceInsert", "xs x p", "y")], "y", xs=[item], p=count(2))
    write("types", [("xs", FLOATS)], [node("SequenceLength", "xs", "n")], "n", xs=[item],
          ints=[np.zeros(2, np.int64)], matrix=[np.zeros((2, 2), np.float32)], tensor=item)
    write("nothing", [("x", optional_type(tensor_type("float32", ["k"])))],
          [node("OptionalGetElement", "x", "y")], "y", x=Optional())
    write("unlike", [("xs", sequence_type(tensor_type("float32", ["a", "b"])))],
          [node("ConcatFromSequence", "xs", "y", axis=0)], "y",
          xs=[np.zeros((1, 2), np.float32), np.zeros((1, 3), np.float32)], empty=[])
    write("split", [("x", tensor_type("float32", [4])), ("k", tensor_type("int64", ["k"]))],
          [node("SplitToSequence", "x k", "y", axis=0)], "y", x=np.zeros(4, np.float32),
          k=np.array([1, 2]), negative=np.array([-1, 5]))


def main():
    if "hostile" in sys.argv[2:]:
        return hostile(sys.argv[1])
    cases = Cases(sys.argv[1])
    for family in (editing, splitting, loops, choices, types, maps):
        family(cases)


if __name__ == "__main__":
    main()
