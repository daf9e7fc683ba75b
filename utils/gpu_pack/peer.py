#!/usr/bin/env python3
# Measures what another library takes for the kernels of a pack, on the same device.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: peer.py torch|jax cuda:0|cpu

Reads names of kernels (gemm-f16-64x64x64), a line each, and answers each with a line of JSON: `eager_us` and
`compiled_us`, of torch (its products by cuBLASLt where it has a choice) with and without torch.compile, of jax
`compiled_us` alone; or `error`. The first line says which version it is. A figure is the least of five, each that
of as many calls one after the other as take 20 ms, divided by their number.
"""
import json
import re
import sys
import time

LEAST_SECONDS, ROUNDS = 0.02, 5
TYPES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}


def parse(name):
    """What a kernel does, the type of its numbers, its sizes, and what else its name says."""
    found = re.fullmatch(r"([a-z-]+)-(f32|f16|bf16)-([0-9x-]+?)((?:-[a-z]\w*)*)", name)
    if not found or found[2] not in TYPES:
        raise ValueError(f"'{name}' is no name of a kernel")
    sizes = [int(size) for size in re.split("[x-]", found[3])]
    return found[1], TYPES[found[2]], sizes, found[4].split("-")[1:]


class Torch:
    def __init__(self, device):
        import torch
        self.torch, self.device = torch, device
        self.about = f"torch {torch.__version__}"
        torch.manual_seed(0)
        if device != "cpu":
            blas = getattr(torch.backends.cuda, "preferred_blas_library", None)
            if blas:
                blas("cublaslt")

    def make(self, dtype, *sizes):
        return self.torch.randn(*sizes, device=self.device).to(getattr(self.torch, dtype))

    def build(self, kind, dtype, sizes, more):
        functional = self.torch.nn.functional
        make = lambda *dims: self.make(dtype, *dims)
        if kind in ("gemm", "gemm-bias-gelu"):
            m, n, k = sizes
            operands = make(m, k), make(k, n)
            if kind == "gemm":
                return lambda a, b: a @ b, operands
            return lambda a, b, bias: functional.gelu(a @ b + bias), (*operands, make(n))
        if kind == "conv":
            batch, channels, height, width, filters, window, _ = sizes
            stride = int(more[0][1:]) if more else 1
            return (lambda x, w: functional.conv2d(x, w, stride=stride, padding=window // 2),
                    (make(batch, channels, height, width), make(filters, channels, window, window)))
        if kind == "attention":
            causal = "causal" in more
            return (lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, is_causal=causal),
                    [make(1, *sizes) for _ in range(3)])
        rows, width = sizes
        functions = {
            "copy": (lambda x: -x, 0),
            "add": (lambda x, b: x + b, (rows, width)),
            "gelu": (functional.gelu, 0),
            "softmax": (lambda x: functional.softmax(x, -1), 0),
            "layernorm": (lambda x, scale, bias: functional.layer_norm(x, (width,), scale, bias), (width,), (width,)),
            "rmsnorm": (lambda x, scale: functional.rms_norm(x, (width,), scale), (width,)),
            "transpose": (lambda x: x.t().contiguous(), 0),
            "reducesum": (lambda x: x.sum(1, keepdim=True), 0),
            "reducesum-columns": (lambda x: x.sum(0, keepdim=True), 0),
        }
        function, *others = functions[kind]
        return function, [make(rows, width), *(make(*dims) for dims in others if dims)]

    def seconds(self, function, operands, count):
        """Of so many calls, on the device."""
        torch = self.torch
        if self.device == "cpu":
            start = time.perf_counter()
            for _ in range(count):
                function(*operands)
            return time.perf_counter() - start
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(count):
            function(*operands)
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) * 1e-3

    def measure(self, *kernel):
        function, operands = self.build(*kernel)
        with self.torch.inference_mode():
            return {"eager_us": time_of(lambda count: self.seconds(function, operands, count)),
                    "compiled_us": time_of(lambda count, made=self.torch.compile(function):
                                           self.seconds(made, operands, count))}


class Jax:
    def __init__(self, device):
        import jax
        self.jax = jax
        self.about = f"jax {jax.__version__}"
        kind, _, number = device.partition(":")
        self.device = jax.devices("gpu" if kind == "cuda" else kind)[int(number or 0)]
        self.key = jax.random.key(0)

    def make(self, dtype, *sizes):
        made = self.jax.random.normal(self.key, sizes).astype(dtype)
        return self.jax.device_put(made, self.device)

    def build(self, kind, dtype, sizes, more):
        jax, numpy = self.jax, self.jax.numpy
        make = lambda *dims: self.make(dtype, *dims)
        if kind in ("gemm", "gemm-bias-gelu"):
            m, n, k = sizes
            # f32 in f32: the default would take TF32.
            product = lambda a, b: numpy.matmul(a, b, precision="highest" if dtype == "float32" else None)
            if kind == "gemm":
                return product, (make(m, k), make(k, n))
            return (lambda a, b, bias: jax.nn.gelu(product(a, b) + bias, approximate=False),
                    (make(m, k), make(k, n), make(n)))
        if kind == "conv":
            batch, channels, height, width, filters, window, _ = sizes
            stride = int(more[0][1:]) if more else 1
            return (lambda x, w: jax.lax.conv_general_dilated(
                        x, w, (stride, stride), [(window // 2, window // 2)] * 2,
                        precision="highest" if dtype == "float32" else None),
                    (make(batch, channels, height, width), make(filters, channels, window, window)))
        if kind == "attention":
            heads, tokens, width = sizes
            causal = "causal" in more
            return (lambda q, k, v: jax.nn.dot_product_attention(q, k, v, is_causal=causal),
                    [make(1, tokens, heads, width) for _ in range(3)])
        rows, width = sizes
        epsilon = 1e-5

        def layernorm(x, scale, bias):
            mean = x.mean(-1, keepdims=True)
            return (x - mean) * jax.lax.rsqrt(x.var(-1, keepdims=True) + epsilon) * scale + bias

        functions = {
            "copy": (lambda x: -x, 0),
            "add": (lambda x, b: x + b, (rows, width)),
            "gelu": (lambda x: jax.nn.gelu(x, approximate=False), 0),
            "softmax": (jax.nn.softmax, 0),
            "layernorm": (layernorm, (width,), (width,)),
            "rmsnorm": (lambda x, scale: x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + epsilon) * scale,
                        (width,)),
            "transpose": (lambda x: x.T, 0),
            "reducesum": (lambda x: x.sum(1, keepdims=True), 0),
            "reducesum-columns": (lambda x: x.sum(0, keepdims=True), 0),
        }
        function, *others = functions[kind]
        return function, [make(rows, width), *(make(*dims) for dims in others if dims)]

    def measure(self, *kernel):
        function, operands = self.build(*kernel)
        compiled = self.jax.jit(function)

        def seconds(count):
            start = time.perf_counter()
            for _ in range(count):
                made = compiled(*operands)
            self.jax.block_until_ready(made)
            return time.perf_counter() - start
        return {"compiled_us": time_of(seconds)}


def time_of(seconds):
    """Microseconds of a call, where `seconds` takes so many."""
    seconds(1)  # compiles, or chooses an algorithm
    count = 1
    while (taken := seconds(count)) < LEAST_SECONDS and count < 1 << 16:
        count *= 2
    return round(min(taken, *(seconds(count) for _ in range(ROUNDS - 1))) / count * 1e6, 3)


PEERS = {"torch": Torch, "jax": Jax}


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in PEERS:
        sys.exit(__doc__)
    try:
        peer = PEERS[sys.argv[1]](sys.argv[2])
    except Exception as error:  # not there, or without this device
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
        return
    print(json.dumps({"about": peer.about}), flush=True)
    for line in sys.stdin:
        try:
            answer = peer.measure(*parse(line.strip()))
        except Exception as error:  # the others may be measured
            answer = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
