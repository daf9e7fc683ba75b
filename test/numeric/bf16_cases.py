# Products with --precision=bf16: both operands rounded to the nearest bf16, sums in f32.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""As schedule_cases.py; the references round as the compiler promises to, and nothing else."""
import numpy as np

from schedule_cases import covering
from tracer import Graph, Tensor


def rounded(array):
    bits = np.asarray(array).astype(np.float32).view(np.uint32).astype(np.uint64)
    nearest = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)
    return np.where(np.isnan(array), np.nan, nearest).astype(np.float64)


def half(tensor):
    """The same value to the graph, rounded to what reads it."""
    return Tensor(tensor.name, rounded(tensor.array), tensor.kind)


def matmul_bf16():
    g = Graph("matmul_bf16")
    rows, columns, depths = [1, 2, 3, 6, 7, 13, 17], [1, 8, 15, 16, 17, 33, 65], [1, 2, 3, 5, 17, 32, 63]
    for i, (m, n, k) in enumerate(covering(rows, columns, depths)[::2]):
        with g.case(f"matmul_{m}_{n}_{k}"):
            x, w = g.input(m, k), g.weight(k, n)
            y = g.matmul(half(x), half(w))
            if i % 3 == 0:
                y = g.relu(g.add(y, g.weight(n)))
            g.output(y)
            if i % 4 == 0:
                g.output(g.add(g.matmul(half(x), half(g.weight(k, n))), y))
    with g.case("computed"):
        # What a product reads is rounded, what else reads it is not.
        x = g.tanh(g.input(5, 33))
        g.output(g.add(g.matmul(half(x), half(g.weight(33, 33))), x))
    with g.case("both_known_late"):
        g.output(g.matmul(g.input(5, 33), g.input(33, 17)))
    with g.case("vectors"):
        g.output(g.matmul(half(g.input(9)), half(g.weight(9, 20))))
        g.output(g.matmul(half(g.input(3, 4, 9)), half(g.weight(9, 20))))
    return g


def matrix_bf16():
    """Depths of whole steps of 32, which tiles of 16 x 16 sums can take; other depths beside them."""
    g = Graph("matrix_bf16")
    rows = [1, 2, 15, 16, 17, 31, 32, 33, 48, 65, 100]
    columns, depths = [1, 15, 16, 17, 32, 33, 48, 100], [32, 64, 96, 33, 160]
    for i, (m, n, k) in enumerate(covering(rows, columns, depths)[::2]):
        with g.case(f"matmul_{m}_{n}_{k}"):
            x, w = g.input(m, k), g.weight(k, n)
            y = g.matmul(half(x), half(w))
            if i % 3 == 0:
                y = g.relu(g.add(y, g.weight(n)))
            g.output(y)
            if i % 4 == 0:
                g.output(g.add(g.matmul(half(x), half(g.weight(k, n))), y))
    with g.case("batches"):
        g.output(g.tanh(g.matmul(half(g.input(3, 2, 21, 64)), half(g.weight(64, 40)))))
    with g.case("a_vector"):
        g.output(g.matmul(half(g.input(64)), half(g.weight(64, 40))))
    with g.case("special"):
        x = np.zeros((20, 32))
        x[:, ::3] = 1
        x[3, 4], x[5, 6], x[17, 9] = np.inf, -np.inf, np.nan
        g.output(g.matmul(half(g.given(x)), half(g.weight(32, 33))))
    for i, (channels, filters, group, attributes) in enumerate([
            (32, 24, 1, dict(pads=[1, 1, 1, 1], strides=[1, 2])), (64, 33, 1, dict(strides=[2, 2])),
            (64, 34, 2, dict(dilations=[2, 2]))]):
        with g.case(f"conv_{i}"):
            x, w = g.input(1 + i % 2, channels, 9, 23), g.weight(filters, channels // group, 3, 3)
            g.output(g.relu(g.conv(half(x), half(w), g.weight(filters), group=group, **attributes)))
    return g


def special_bf16():
    """Ties, infinities, NaN, and numbers that round to infinity."""
    g = Graph("special_bf16")
    ties = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 - 2.0**-8, 1 + 2.0**-8 + 2.0**-20, 3.3e38, -3.4e38,
                     np.inf, -np.inf, np.nan, 1e-30, 0.0, -0.0], np.float32).astype(np.float64)
    with g.case("one_at_a_time"):
        x = g.given(ties[:, None])
        g.output(g.matmul(half(x), half(g.weight(1, 33))))
    with g.case("weights"):
        w = g.weight(values=ties[None, [0, 1, 2, 3, 9, 10, 11]])
        g.output(g.matmul(half(g.input(4, 1)), half(w)))
    with g.case("in_pairs"):
        x = g.given(np.stack([ties, np.roll(ties, 1)], 1))
        g.output(g.matmul(half(x), half(g.weight(2, 17))))
    return g


def conv_bf16():
    g = Graph("conv_bf16")
    for i, (channels, filters, group, kernel, attributes) in enumerate([
            (24, 58, 1, (1, 1), {}),
            (17, 33, 1, (1, 1), dict(strides=[2, 2])),
            (16, 24, 1, (3, 3), dict(strides=[2, 2], pads=[1, 1, 1, 1])),
            (18, 34, 2, (2, 3), dict(dilations=[2, 1], pads=[0, 1, 2, 1])),
            (9, 12, 1, (3, 3), dict(dilations=[2, 2], pads=[2, 2, 2, 2])),
            (32, 16, 1, (5, 5), dict(pads=[2, 2, 2, 2]))]):
        with g.case(f"conv_{i}"):
            x, w = g.input(1 + i % 2, channels, 9, 11), g.weight(filters, channels // group, *kernel)
            g.output(g.relu(g.conv(half(x), half(w), g.weight(filters), group=group, **attributes)))
    with g.case("in_f32"):
        g.output(g.conv(g.input(1, 16, 9, 11), g.weight(16, 16, 3, 3), g.weight(16), pads=[1] * 4))
        g.output(g.conv(g.input(1, 16, 9, 11), g.weight(16, 1, 3, 3), g.weight(16), group=16))
    return g


def dynamic_bf16(batch):
    g = Graph("dynamic_bf16", batch=batch)
    with g.case("mlp"):
        x = g.input("batch", 37)
        y = g.relu(g.add(g.matmul(half(x), half(g.weight(37, 65))), g.weight(65)))
        g.output(g.matmul(half(y), half(g.weight(65, 10))), ["batch", 10])
    with g.case("matrix"):
        x = g.input("batch", 64)
        y = g.relu(g.add(g.matmul(half(x), half(g.weight(64, 96))), g.weight(96)))
        g.output(g.matmul(half(y), half(g.weight(96, 40))), ["batch", 40])
    return g


STATIC = [matmul_bf16, matrix_bf16, special_bf16, conv_bf16]
DYNAMIC = [(dynamic_bf16, [{"batch": size} for size in (5, 1, 0, 17, 31, 32, 63, 101)])]
