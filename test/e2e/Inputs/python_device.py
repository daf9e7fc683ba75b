# The Python package on a GPU; the folder given holds mlp.onnx.
# Licensed under Apache-2.0 WITH LLVM-exception.
import os
import sys
import threading

import numpy as np

import lathe

path = os.path.join(sys.argv[1], "mlp.onnx")
random = np.random.default_rng(1)
numeric = random.standard_normal((5, 6)).astype(np.float32)
categories = random.integers(0, 2, (5, 2))

host = lathe.compile(path, target="x86-64-v3")
assert host.device == "cpu"
expected = host(numeric, categories)

kept = os.path.join(sys.argv[1], "gpu.lathe")
gpu = lathe.compile(path, kept, device="cuda:0")
assert gpu.device == "cuda:0"
for _ in range(4):  # recorded and replayed
    np.testing.assert_allclose(gpu(numeric, categories), expected, rtol=1e-5)
results = {}
threads = [threading.Thread(target=lambda i=i: results.update({i: gpu(numeric[:i], categories[:i])}))
           for i in (1, 2, 3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for i, result in results.items():
    np.testing.assert_allclose(result, expected[:i], rtol=1e-5)
assert len(results) == 3

for device, name, words in (("cuda:7", "argument", "cuda:7"), ("tpu:0", "argument", "tpu:0")):
    try:
        lathe.load(kept, device=device)
        raise SystemExit(f"{device} was opened")
    except lathe.Error as error:
        assert error.name == name and words in str(error), (error.name, error)
for device, kind in ((0, TypeError), ("", ValueError), ("cuda:0\0", ValueError)):
    try:
        lathe.load(kept, device=device)
        raise SystemExit(f"{device!r} was opened")
    except kind:
        pass
try:
    lathe.load(kept)  # it holds no code for the host
    raise SystemExit("it was opened on the host")
except lathe.Error as error:
    assert error.name == "variant" and "nvidia:sm_80" in str(error), (error.name, error)
