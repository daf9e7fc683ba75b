# Compiles graphs of tracer.py, runs them in several ways and compares with numpy's values.
# Licensed under Apache-2.0 WITH LLVM-exception.
import os
import re
import subprocess

import numpy as np


def levels_of_this_machine():
    """The targets that one artifact holds, from the plainest."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        flags = file.read().split()
    levels = [("x86-64-v4", "avx512vl"), ("x86-64-v4-vnni", "avx512_vnni"),
              ("x86-64-v4-vnni-bf16", "avx512_bf16"), ("x86-64-v4-vnni-bf16-amx", "amx_bf16")]
    return ["x86-64-v3"] + [level for level, flag in levels if flag in flags]


def difference(actual, expected):
    """What is wrong with `actual`, or None. The tolerance is that of `lathe check`."""
    if actual.shape != expected.shape:
        return f"shape {actual.shape}, expected {expected.shape}"
    if expected.dtype.kind != "f":
        wrong = actual != expected
    else:
        finite = expected[np.isfinite(expected)]
        rms = np.sqrt(np.mean(finite * finite)) if finite.size else 0
        with np.errstate(invalid="ignore"):
            off = np.abs(actual - expected) <= 2e-5 * rms + 1e-4 * np.abs(expected)
        wrong = ~(off | (actual == expected) | (np.isnan(actual) & np.isnan(expected)))
    if not wrong.any():
        return None
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (f"{wrong.sum()} of {wrong.size} wrong, first at {first}: "
            f"{actual[first]}, expected {expected[first]}")


class Runner:
    def __init__(self, compiler, runtime, folder, levels, flags=()):
        self.compiler, self.runtime, self.folder = compiler, runtime, folder
        self.levels, self.flags = levels, list(flags)
        self.comparisons = 0
        self._failures = {}  # (model, what is wrong with it) to how it ran

    def _fail(self, graph, how, subject, wrong):
        self._failures.setdefault((graph.name, subject), []).append((how, wrong))

    @property
    def failures(self):
        """One line for each value that is wrong, however often it is."""
        return [f"{model}: {subject}: {len(ways)} times, first with {ways[0][0]}: {ways[0][1]}"
                for (model, subject), ways in self._failures.items()]

    def _execute(self, graph, how, command):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            self._fail(graph, how, command[1], "more than 300 s")
            return False
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()[:12]
            self._fail(graph, how, command[1], f"status {done.returncode}: " + "\n  ".join(lines))
        return done.returncode == 0

    def _run(self, graph, artifact, level, threads, how):
        folder = os.path.join(self.folder, "values")
        os.makedirs(folder, exist_ok=True)
        command = [self.runtime, "run", artifact, "--variant", level, "--threads", str(threads),
                   "--output-dir", folder]
        for name, tensor in graph.inputs.items():
            path = os.path.join(folder, f"{name}.npy")
            np.save(path, tensor.stored)
            command += ["--input", f"{name}={path}"]
        if not self._execute(graph, how, command):
            return
        for name, tensor in graph.outputs.items():
            path = os.path.join(folder, re.sub(r"[^A-Za-z0-9._-]", "_", name) + ".npy")
            self.comparisons += 1
            wrong = difference(np.load(path), tensor.array)
            os.remove(path)
            if wrong:
                self._fail(graph, how, name, wrong)

    def check(self, graphs, optimizations=(0, 3)):
        """`graphs` is one model traced with different sizes of its symbolic dimensions."""
        first = graphs[0]
        model = os.path.join(self.folder, f"{first.name}.onnx")
        first.model.write(model)
        for level in optimizations:
            artifact = os.path.join(self.folder, f"{first.name}.O{level}.lathe")
            # The plain form is a reference: one target is enough.
            levels = self.levels if level else self.levels[:1]
            if not self._execute(first, f"-O{level}", [
                    self.compiler, "compile", "-q", model, "-o", artifact, f"-O{level}",
                    "--target", ",".join(levels), *self.flags]):
                continue
            for graph in graphs:
                sizes = "".join(f" {name}={size}" for name, size in graph.sizes.items())
                for target in levels:
                    for threads in (1, 2) if level else (1,):
                        self._run(graph, artifact, target, threads,
                                  f"-O{level} {target} -t{threads}{sizes}")
