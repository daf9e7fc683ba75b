# Same inputs, same bits: with any number of threads, and in any row of a batch.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: same-bits.py LATHE FOLDER [--flags='FLAG...'] [--batch=N] MODEL.onnx...

Compiles each model (with FLAGs), whose outputs, and inputs but those of a fixed size, have the batch
as their first dimension; runs it on random inputs with a batch of N (5) on 1, 2, 3 and 5 threads, then
rows alone and some together, at other places than before, and compares the outputs' bits. Prints
`NAME: same bits`, or what differs.
"""
import json
import os
import subprocess
import sys

import numpy as np

SIZES = {"sequence": 7, "past_sequence": 4, "total_sequence": 11}
TYPES = {"f32": np.float32, "i64": np.int64}


def main(lathe, folder, arguments):
    options = dict(argument[2:].split("=", 1) for argument in arguments if argument.startswith("--"))
    models = [argument for argument in arguments if not argument.startswith("--")]
    flags, batch = options.get("flags", "").split(), int(options.get("batch", 5))
    failed = False
    for model in models:
        name = os.path.basename(model).removesuffix(".onnx")
        root = os.path.join(folder, name)
        os.makedirs(root, exist_ok=True)
        artifact = os.path.join(root, "model.lathe")
        subprocess.run([lathe, "compile", model, "-o", artifact, "-q", *flags], check=True)
        inputs, fixed = make_inputs(lathe, artifact, batch)

        def run(rows, threads):
            arguments = []
            for key, array in inputs.items():
                path = os.path.join(root, key + ".npy")
                np.save(path, np.ascontiguousarray(array if key in fixed else array[rows]))
                arguments += ["-i", f"{key}={path}"]
            out = os.path.join(root, "out")
            subprocess.run([lathe, "run", artifact, *arguments, "-t", str(threads), "-o", out],
                           check=True, stdout=subprocess.DEVNULL)
            return {file: np.load(os.path.join(out, file)) for file in sorted(os.listdir(out))}

        whole = run(slice(None), 1)
        assert whole and all(np.isfinite(array).all() for array in whole.values())
        trials = [(f"{threads} threads", slice(None), threads) for threads in (2, 3, 5)]
        alone = range(batch) if batch < 10 else (0, 1, 7, batch // 2, batch - 1)
        trials += [(f"row {row} alone", slice(row, row + 1), 1) for row in alone]
        trials += [("rows 1 and 2", slice(1, 3), 2), ("all but the first", slice(1, batch), 3)]
        different = [label for label, rows, threads in trials
                     if any(whole[key][rows].tobytes() != array.tobytes()
                            for key, array in run(rows, threads).items())]
        print(f"{name}: " + ("other bits with " + ", ".join(different) if different else "same bits"))
        failed |= bool(different)
    sys.exit(failed)


def make_inputs(lathe, artifact, batch):
    report = json.loads(subprocess.run([lathe, "inspect", artifact, "--json"], check=True, text=True,
                                       capture_output=True).stdout)
    random = np.random.default_rng(1)
    inputs, fixed = {}, set()
    for spec in report["inputs"]:
        dims = [{"batch": batch, **SIZES}.get(dim, dim) for dim in spec["dims"]]
        if "batch" not in spec["dims"][:1]:
            fixed.add(spec["name"])
        dtype = TYPES[spec["dtype"]]
        inputs[spec["name"]] = random.standard_normal(dims).astype(dtype) if dtype == np.float32 \
            else random.integers(0, 2, dims).astype(dtype)
        if "mask" in spec["name"]:
            inputs[spec["name"]][:, 0] = 1
    return inputs, fixed


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:3], sys.argv[3:])
