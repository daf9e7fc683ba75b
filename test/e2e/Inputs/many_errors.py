"""Writes a model that several operators and limits forbid. Argument: the file."""
# Licensed under Apache-2.0 WITH LLVM-exception.
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from broken import model, node

model([
    node("Frobnicate", ["x"], ["a"]),
    node("Quux", ["x"], ["b"]),
    node("Quux", ["x"], ["c"], name="second"),
    node("Relu", ["a"], ["d"], name="depends"),
    node("Softmax", ["x"], ["e"], name="bad_axis", axis=7),
    node("Relu", ["e"], ["f"], name="depends_too"),
    node("Relu", ["x"], ["g"], name="bad_attribute", slope=2),
    node("Cast", ["x"], ["i"], name="fine", to=6),
    node("Sin", ["i"], ["h"], name="bad_type"),
    node("Relu", ["x"], ["y"], name="fine_too"),
]).write(sys.argv[1])
