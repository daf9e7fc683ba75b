# Writes small models that ask for much, and checks what compiling them takes.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: bombs.py FOLDER LATHE [NAME...]

Compiles each of the models below. Every one must end within a second of processor time and 200 MB:
with an error that names the file and says what the comment beside the case says, or, where nothing
is said, with an artifact too, as long as nothing has been unrolled, folded or allocated.
"""
import os
import re
import resource
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "..", "utils"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from broken import initializer, model, nested, node
from control import const, graph
from control import node as control_node
from zoo_models.wire import Message, tensor, value_info

import numpy as np

SECONDS, MEGABYTES = 1.0, 200


def function(name, nodes, domain="local"):
    """A FunctionProto from x to y."""
    proto = Message().data(1, name).data(4, "x").data(5, "y")
    for inner in nodes:
        proto.message(7, inner)
    for imported in ("", "local"):
        proto.message(9, Message().data(1, imported).integer(2, 13))
    return proto.data(10, domain)


def with_functions(first, functions):
    """A model that calls the first of them."""
    proto = model([node(first, ["x"], ["y"], domain="local")])
    proto.message(8, Message().data(1, "local").integer(2, 1))
    for inner in functions:
        proto.message(25, inner)
    return proto


def calls(levels, width):
    """Each function calls the next `width` times."""
    functions = []
    for level in range(levels):
        names = ["x"] + [f"t{i}" for i in range(width - 1)] + ["y"]
        op, domain = (f"f{level + 1}", "local") if level + 1 < levels else ("Relu", None)
        functions.append(function(f"f{level}", [
            node(op, [a], [b], name=f"n{i}", domain=domain)
            for i, (a, b) in enumerate(zip(names, names[1:]))]))
    return with_functions("f0", functions)


def ints(name, values):
    return tensor(np.array(values, np.int64), name)


def loop(trip):
    body = graph("i c a", [control_node("Identity", "c", "c2"), control_node("Neg", "a", "a2")],
                 "c2 a2")
    return model([const("n", trip, np.int64), const("go", True, bool),
                  const("zero", [0, 0, 0, 0]), control_node("Loop", "n go zero", "big", body=body),
                  node("Add", ["x", "big"], ["y"])])


def cases():
    """Name: (model, what the error says; None: any outcome that is cheap)."""
    relu = node("Relu", ["x"], ["y"])
    chain = [node("Relu", ["x" if i == 0 else f"t{i}"], ["y" if i == 204999 else f"t{i + 1}"],
                  name=f"n{i}") for i in range(205000)]
    return {
        "deep-functions": (calls(1000, 1), "deep|nest"),
        "recursive-function": (with_functions("f", [
            function("f", [node("f", ["x"], ["y"], domain="local")])]), "itself|recurs"),
        "mutual-recursion": (with_functions("f", [
            function("f", [node("g", ["x"], ["y"], domain="local")]),
            function("g", [node("f", ["x"], ["y"], domain="local")])]), "itself|recurs"),
        "billion-laughs": (calls(40, 2), "nodes"),
        "wide-laughs": (calls(12, 10), "nodes"),
        "nested-ifs": (nested(2000), "nested"),
        "many-nodes": (model(chain), "nodes"),
        "claimed-initializer": (model([node("Add", ["x", "w"], ["y"])],
                                      [initializer("w", [1 << 30, 1 << 30], b"")]), "'w'"),
        "claimed-input": (model([relu], dims=(1 << 30, 1 << 30, 4)), "x|size|bytes|large"),
        "claimed-input-over": (model([relu], dims=(1 << 62, 1 << 62)), "x|size|bytes|large"),
        "constant-of-shape": (model([node("ConstantOfShape", ["s"], ["big"]),
                                     node("Add", ["x", "big"], ["y"])], [ints("s", [1 << 40, 4])]),
                              None),
        "tile": (model([node("Tile", ["x", "s"], ["y"])], [ints("s", [1 << 42])]), None),
        "tile-constant": (model([const("c", [1, 2, 3, 4]), node("Tile", ["c", "s"], ["t"]),
                                 node("ReduceMax", ["t"], ["m"]), node("Add", ["x", "m"], ["y"])],
                                [ints("s", [1 << 40])]), None),
        "expand": (model([const("c", [1, 2, 3, 4]), node("Expand", ["c", "s"], ["t"]),
                          node("ReduceMax", ["t"], ["m"]), node("Add", ["x", "m"], ["y"])],
                         [ints("s", [1 << 20, 1 << 20, 4])]), None),
        "pad": (model([const("c", [1, 2, 3, 4]), node("Pad", ["c", "s"], ["t"]),
                       node("ReduceMax", ["t"], ["m"]), node("Add", ["x", "m"], ["y"])],
                      [ints("s", [1 << 40, 1 << 40])]), None),
        "range": (model([node("Range", ["a", "b", "c"], ["r"]), node("ReduceMax", ["r"], ["m"]),
                         node("Cast", ["m"], ["f"], to=1), node("Add", ["x", "f"], ["y"])],
                        [ints("a", 0), ints("b", 1 << 45), ints("c", 1)]), None),
        "one-hot": (model([node("OneHot", ["i", "d", "v"], ["o"]), node("ReduceMax", ["o"], ["m"]),
                           node("Add", ["x", "m"], ["y"])],
                          [ints("i", [1, 2]), ints("d", 1 << 45),
                           tensor(np.array([0, 1], np.float32), "v")]), None),
        "eye-like": (model([node("ConstantOfShape", ["s"], ["b"]), node("EyeLike", ["b"], ["e"]),
                            node("ReduceMax", ["e"], ["m"]), node("Add", ["x", "m"], ["y"])],
                           [ints("s", [1 << 24, 1 << 24])]), None),
        "doubling-concat": (model([node("Concat", [f"t{i}"] * 2, [f"t{i + 1}"], name=f"n{i}", axis=0)
                                   for i in range(45)] + [const("t0", [1, 2]),
                                  node("ReduceMax", ["t45"], ["m"]), node("Add", ["x", "m"], ["y"])]),
                            None),
        "loop": (loop((1 << 63) - 1), None),
        "many-inputs": (model([node("Concat", ["x"] * 300, ["y"], axis=0)]), None),
        "many-outputs": (model([node("Split", ["x"], [f"y{i}" for i in range(50000)]),
                                node("Relu", ["y0"], ["y"])]), None),
        "huge-string": (model([node("Conv", ["x", "x"], ["y"], auto_pad="A" * (1 << 24))]), "Conv"),
        "huge-name": (model([node("Nothing", ["x"], ["y"], name="n" * (1 << 22))]), "Nothing"),
        "huge-equation": (model([node("Einsum", ["x"], ["y"], equation="i" * (1 << 22))]), "Einsum"),
        "high-rank": (model([node("Reshape", ["x", "s"], ["y"])], [ints("s", [1] * 5000 + [4])]),
                      "rank"),
        "long-axes": (model([node("ReduceSum", ["x", "a"], ["y"])], [ints("a", [0] * 100000)]), "axes|axis"),
    }


def measure(lathe, path, output):
    done = subprocess.run(["/usr/bin/python3", "-c", MEASURE, lathe, "compile", path, "--target",
                           "x86-64-v3", "-q", "-o", output],
                          capture_output=True, text=True, errors="replace", check=False, timeout=120)
    seconds, kilobytes, status = done.stdout.split()
    return int(status), float(seconds), int(kilobytes) / 1024, done.stderr


# In a process of its own, so that the peak is that of one compiler.
MEASURE = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss, status)
"""


def main(folder, lathe, *only):
    os.makedirs(folder, exist_ok=True)
    bad = 0
    for name, (proto, wanted) in cases().items():
        if only and name not in only:
            continue
        path = os.path.join(folder, name + ".onnx")
        proto.write(path)
        status, seconds, megabytes, text = measure(lathe, path, os.path.join(folder, name + ".lathe"))
        problems = []
        if status not in ((1,) if wanted else (0, 1)):
            problems.append(f"status {status}")
        if status == 1 and (name not in text or not re.search(wanted or "", text)):
            problems.append(f"says '{text[:200]}'")
        if len(text) > 4000:
            problems.append(f"says {len(text)} characters")
        if seconds > SECONDS or megabytes > MEGABYTES:
            problems.append("takes too much")
        bad += bool(problems)
        print(f"{'FAIL' if problems else 'PASS'} {name}: {seconds:.2f} s, {megabytes:.0f} MB"
              + "".join("; " + problem for problem in problems), flush=True)
    print(f"{bad} bombs went off")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
