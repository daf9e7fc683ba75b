"""Runs two artifacts on the same random inputs and compares their outputs, as `lathe check` does by
default for f32. Arguments: the lathe command, two artifacts, then lists of sizes such as batch=2,seq=3;
before these, --device and a device for the first.
"""
# Licensed under Apache-2.0 WITH LLVM-exception.
import os
import subprocess
import sys
import tempfile

import numpy as np

lathe, first, second, *cases = sys.argv[1:]
device = ["--device", cases[1]] if cases[0] == "--device" else []
cases = cases[len(device):]


def run(artifact, sizes, folder, options=()):
    dims = [argument for size in sizes.split(",") for argument in ("--dim", size)]
    subprocess.run([lathe, "run", artifact, *dims, *options, "-o", folder], check=True, capture_output=True)
    return {name: np.load(os.path.join(folder, name)) for name in sorted(os.listdir(folder))}


agree = 0
for sizes in cases:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        a, b = run(first, sizes, one, device), run(second, sizes, two)
    same = a.keys() == b.keys() and all(a[name].shape == b[name].shape for name in a)
    for name in a if same else ():
        rms = np.sqrt(np.mean(np.square(b[name].astype(np.float64)))) if b[name].size else 0
        same &= np.allclose(a[name], b[name], rtol=1e-4, atol=2e-5 * rms, equal_nan=True)
    agree += bool(same)
    if not same:
        print(f"{sizes}: outputs differ")
print(f"{agree} of {len(cases)} runs agree")
