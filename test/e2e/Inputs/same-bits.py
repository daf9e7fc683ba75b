# Same inputs, same bits: with any number of threads, and in any row of a batch.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: same-bits.py LATHE FOLDER MODEL.onnx...

Compiles each model, whose inputs and outputs have the batch as their first dimension, runs it on
random inputs with a batch of 5 on 1, 2, 3 and 5 threads, then each row alone and two rows together,
and compares the outputs' bits. Prints `NAME: same bits`, or what differs.
"""
import json
import os
import subprocess
import sys

import numpy as np

BATCH, SEQUENCE = 5, 7
TYPES = {"f32": np.float32, "i64": np.int64}


def main(lathe, folder, models):
    failed = False
    for model in models:
        name = os.path.basename(model).removesuffix(".onnx")
        root = os.path.join(folder, name)
        os.makedirs(root, exist_ok=True)
        artifact = os.path.join(root, "model.lathe")
        subprocess.run([lathe, "compile", model, "-o", artifact, "-q"], check=True)
        inputs = make_inputs(lathe, artifact)

        def run(rows, threads):
            arguments = []
            for key, array in inputs.items():
                path = os.path.join(root, key + ".npy")
                np.save(path, np.ascontiguousarray(array[rows]))
                arguments += ["-i", f"{key}={path}"]
            out = os.path.join(root, "out")
            subprocess.run([lathe, "run", artifact, *arguments, "-t", str(threads), "-o", out],
                           check=True, stdout=subprocess.DEVNULL)
            return {file: np.load(os.path.join(out, file)) for file in sorted(os.listdir(out))}

        whole = run(slice(None), 1)
        assert whole and all(np.isfinite(array).all() for array in whole.values())
        trials = [(f"{threads} threads", slice(None), threads) for threads in (2, 3, 5)]
        trials += [(f"row {row} alone", slice(row, row + 1), 1) for row in range(BATCH)]
        trials += [("rows 1 and 2", slice(1, 3), 2)]
        different = [label for label, rows, threads in trials
                     if any(whole[key][rows].tobytes() != array.tobytes()
                            for key, array in run(rows, threads).items())]
        print(f"{name}: " + ("other bits with " + ", ".join(different) if different else "same bits"))
        failed |= bool(different)
    sys.exit(failed)


def make_inputs(lathe, artifact):
    report = json.loads(subprocess.run([lathe, "inspect", artifact, "--json"], check=True, text=True,
                                       capture_output=True).stdout)
    random = np.random.default_rng(1)
    inputs = {}
    for spec in report["inputs"]:
        dims = [{"batch": BATCH, "sequence": SEQUENCE}.get(dim, dim) for dim in spec["dims"]]
        dtype = TYPES[spec["dtype"]]
        inputs[spec["name"]] = random.standard_normal(dims).astype(dtype) if dtype == np.float32 \
            else random.integers(0, 2, dims).astype(dtype)
        if "mask" in spec["name"]:
            inputs[spec["name"]][:, 0] = 1
    return inputs


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
