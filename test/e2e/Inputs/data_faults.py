# What is wrong in the data of a run is told by any device as by a processor.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: data_faults.py FOLDER LATHE DRIVERS

Compiles small models, and runs them on data that they cannot take: on the processor, on emulated
GPUs in several orders of the threads, and through the fake drivers in the folder DRIVERS. Prints
what the processor says, and whatever says another thing."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from small import node, write_model

import numpy as np

ROWS = np.arange(240, dtype=np.float32).reshape(6, 40) / 50
FLOATS = ("float32", [6, 40])


def i64(*values):
    return np.array(values, np.int64)


def gather(data, index, result):
    return node("Gather", [data, index], [result], f"{result}/Gather")


# Name: nodes, inputs and what each is given, dtype and dims of the output `y`.
MODELS = {
    "gather": ([gather("x", "i", "y")], {"x": ROWS, "i": i64(1, -7, 2)}, ("float32", [3, 40])),
    # Rows that are worked on further, by a block of threads each.
    "rows": ([gather("x", "i", "a"), node("Softmax", ["a"], ["y"], "softmax")],
             {"x": ROWS, "i": i64(1, 5, 6)}, ("float32", [3, 40])),
    "several": ([gather("x", "i", "a"), gather("x", "j", "b"), node("Add", ["a", "b"], ["c"], "add"),
                 node("Softmax", ["c"], ["d"], "softmax"), node("MatMul", ["d", "d2"], ["y"], "product")],
                {"x": ROWS, "i": i64(1, 2), "j": i64(9, 3), "d2": ROWS.reshape(40, 6)},
                ("float32", [2, 6])),
    # What one has looked up is where the next one looks.
    "chain": ([gather("n", "i", "a"), gather("n", "a", "b"), gather("x", "b", "y")],
              {"n": i64(5, 4, 3, 2, 1, 0), "x": ROWS, "i": i64(0, 11)}, ("float32", [2, 40])),
    # Kernels that all find something wrong: the first tells.
    "three": ([gather("x", "i", "a"), node("MatMul", ["a", "w"], ["b"], "product"),
               gather("b", "j", "c"), node("Softmax", ["c"], ["d"], "softmax"),
               node("MatMul", ["d", "v"], ["e"], "second"), gather("e", "k", "y")],
              {"x": ROWS, "w": ROWS.reshape(40, 6), "v": ROWS, "i": i64(21, 5), "j": i64(31, 0),
               "k": i64(1, 41)}, ("float32", [2, 40])),
    "gather-elements": ([node("GatherElements", ["x", "i"], ["y"], "elements")],
                        {"x": ROWS, "i": i64(0, 1, 6, 2).reshape(1, 4)}, ("float32", [1, 4])),
    "gather-nd": ([node("GatherND", ["x", "i"], ["y"], "nd")],
                  {"x": ROWS, "i": i64(0, 1, 5, 40).reshape(2, 2)}, ("float32", [2])),
    "scatter-elements": ([node("ScatterElements", ["x", "i", "u"], ["y"], "elements")],
                         {"x": ROWS, "i": i64(3, -8).reshape(1, 2), "u": ROWS[:1, :2]}, FLOATS),
    "scatter-nd": ([node("ScatterND", ["x", "i", "u"], ["y"], "nd")],
                   {"x": ROWS, "i": i64(3, 6).reshape(2, 1), "u": ROWS[:2]}, FLOATS),
    "divide": ([node("Div", ["a", "b"], ["y"], "div")],
               {"a": i64(1, 2, 3), "b": i64(1, 0, 3)}, ("int64", [3])),
    "remainder": ([node("Mod", ["a", "b"], ["y"], "mod")],
                  {"a": i64(1, 2, 3), "b": i64(1, 2, 0)}, ("int64", [3])),
    "reverse": ([node("ReverseSequence", ["x", "n"], ["y"], "reverse")],
                {"x": ROWS[:, :3], "n": i64(2, 9, 1)}, ("float32", [6, 3])),
    # The host decides by what was looked up.
    "sizes": ([gather("n", "i", "a"), node("ConstantOfShape", ["a"], ["y"], "fill")],
              {"n": i64(5, 4, 3, 2, 1, 0), "i": i64(1, 6)}, ("float32", ["r", "s"])),
    "slice": ([node("Slice", ["x", "s", "e", "axes"], ["y"], "slice")],
              {"x": ROWS, "s": i64(0, 1), "e": i64(2, 3), "axes": i64(0, -2)}, ("float32", ["r", "s"])),
}


def main(folder, lathe, drivers):
    def run(path, inputs, device, **environment):
        command = [lathe, "run", path, "--device", device]
        for name in inputs:
            command += ["-i", f"{name}={os.path.join(folder, name + '.npy')}"]
        done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        return f"{done.returncode}: {done.stdout}"

    def cuda(arch):
        return {"LATHE_CUDA_DRIVER": f"{drivers}/libcuda.so", "LATHE_FAKE_CUDA": f"arch={arch}"}

    for name, (nodes, inputs, (dtype, dims)) in MODELS.items():
        path = os.path.join(folder, name)
        write_model(path, nodes, [(key, str(array.dtype), list(array.shape))
                                  for key, array in inputs.items()], [("y", dtype, dims)])
        for key, array in inputs.items():
            np.save(os.path.join(folder, key + ".npy"), array)
        subprocess.run([lathe, "compile", "-q", path + "/model.onnx", "-o", path + ".lathe",
                        "--target", "x86-64-v3,nvidia:sm_80,amd:gfx942"], check=True)
        expected = run(path + ".lathe", inputs, "cpu")
        print(f"{name}: {expected}", end="")
        for device, environment in (
                *(("emulator:sm_80", {"LATHE_SEED": str(seed)}) for seed in (1, 2, 3)),
                ("emulator:gfx942", {}), ("cuda:0", cuda("sm_80")),
                ("hip:0", {"LATHE_HIP_DRIVER": f"{drivers}/libamdhip64.so"})):
            said = run(path + ".lathe", inputs, device, **environment)
            if said != expected:
                print(f"{name} on {device} {environment}: {said}", end="")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
