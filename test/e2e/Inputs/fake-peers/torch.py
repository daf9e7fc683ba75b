# Stands in for PyTorch in tests of what measures it: takes no time, and computes nothing.
# Licensed under Apache-2.0 WITH LLVM-exception.
import contextlib

__version__ = "0.0-fake"
float16 = float32 = bfloat16 = "a type"
inference_mode = contextlib.nullcontext


def manual_seed(seed):
    pass


def compile(function):
    return function


class Tensor:
    def to(self, dtype):
        return self

    def __matmul__(self, other):
        return self

    def __neg__(self):
        raise RuntimeError("out of memory")


def randn(*sizes, device):
    assert device == "cpu", device
    return Tensor()


class nn:
    class functional:
        gelu = None
