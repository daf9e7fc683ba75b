"""Evaluates the arena's formula, as `lathe inspect --json` prints it, at the batches that a program
measured. Arguments: artifact, the program's output, the lathe command."""
# Licensed under Apache-2.0 WITH LLVM-exception.
import json
import subprocess
import sys

artifact, measured, lathe = sys.argv[1:]
report = json.loads(subprocess.run([lathe, "inspect", "--json", artifact], check=True,
                                   capture_output=True).stdout)
formula, _, where = report["manifest"]["targets"][0]["arena_formula"].partition(", where ")
with open(measured, encoding="utf-8") as file:
    lines = [tuple(map(int, line.split())) for line in file]
agree = 0
for batch, size in lines:
    names = {"batch": batch, "max": max, "min": min, "up64": lambda value: -(-value // 64) * 64}
    for definition in filter(None, where.split(", t")):
        name, text = definition.split(" = ", 1)
        names["t" + name.removeprefix("t")] = eval(text, {"__builtins__": {}}, names)
    agree += eval(formula, {"__builtins__": {}}, names) == size
print(f"{agree} of {len(lines)} sizes agree")
