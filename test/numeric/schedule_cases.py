# What the schedule must compute right: sizes that leave remainders, values used twice, views of views.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""Each function traces one model of many small cases; those of DYNAMIC are traced once per size."""
import itertools

import numpy as np

from tracer import Graph

SIZES = [1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 32, 33, 40, 64, 65, 100]


def covering(*axes):
    """Few tuples in which all pairs of values of two axes that follow each other occur."""
    longest = max(map(len, axes))
    rows = []
    for shift in range(longest):
        rows += [tuple(axis[(i + shift * place * place) % len(axis)]
                       for place, axis in enumerate(axes)) for i in range(longest)]
    return list(dict.fromkeys(rows))


def matmul():
    g = Graph("matmul")
    for i, (m, n, k) in enumerate(covering(SIZES, SIZES, SIZES)[::5]):
        with g.case(f"matmul_{m}_{n}_{k}"):
            a = g.input(m, k)
            b = g.weight(k, n) if i % 2 else g.input(k, n)
            y = g.matmul(a, b)
            if i % 3 == 0:
                y = g.relu(g.add(y, g.weight(n)))
            if i % 5 == 0:
                y = g.add(y, g.input(m, n))
            g.output(y)
    return g


def gemm():
    g = Graph("gemm")
    for i, (m, n, k) in enumerate(covering(SIZES, SIZES, SIZES)[2::13]):
        trans_a, trans_b = i % 2, i // 2 % 2
        with g.case(f"gemm_{m}_{n}_{k}_{trans_a}{trans_b}"):
            a = g.input(*((k, m) if trans_a else (m, k)))
            shape = (n, k) if trans_b else (k, n)
            b = g.weight(*shape) if i % 3 else g.input(*shape)
            bias = [None, g.weight(n), g.input(m, 1), g.weight(m, n), g.weight(1)][i % 5]
            g.output(g.gemm(a, b, bias, trans_a, trans_b, *[(1, 1), (0.5, 1), (1, -2)][i % 3]))
    return g


def batch_matmul():
    g = Graph("batch_matmul")
    shapes = [((2, 5, 7), (2, 7, 9)), ((3, 1, 17, 5), (4, 5, 33)), ((2, 3, 4, 8), (2, 3, 8, 1)),
              ((6, 3), (2, 3, 16)), ((7,), (2, 7, 5)), ((2, 5, 7), (7,)), ((5,), (5,)),
              ((1, 1, 8), (3, 8, 40)), ((2, 1, 3, 6), (1, 5, 6, 2)), ((4, 12, 31), (31, 65)),
              ((2, 2, 1, 64), (2, 2, 64, 33)), ((5, 1, 1), (5, 1, 1))]
    for i, (left, right) in enumerate(shapes):
        for weight in (False, True):
            with g.case(f"batch_matmul_{i}_{weight}"):
                b = g.weight(*right) if weight else g.input(*right)
                g.output(g.matmul(g.input(*left), b))
    # As attention has it: a transpose on one side.
    with g.case("attention"):
        q, k, v = (g.transpose(g.reshape(g.input(2, 9, 24), 2, 9, 3, 8), 0, 2, 1, 3)
                   for _ in range(3))
        scores = g.mul(g.matmul(q, g.transpose(k, 0, 1, 3, 2)), g.weight(values=0.25))
        mixed = g.matmul(g.softmax(scores, -1), v)
        g.output(g.reshape(g.transpose(mixed, 0, 2, 1, 3), 0, 0, -1))
    return g


def attend(g, q, k, v, mask=None):
    scores = g.mul(g.matmul(q, g.transpose(k, 0, 1, 3, 2)), g.weight(values=0.3))
    if mask is not None:
        scores = g.add(scores, mask)
    return g.matmul(g.softmax(scores, -1), v)


def attention():
    g = Graph("attention")
    # Batch, heads, queries, keys, sizes of keys and of values: less than a block and more than one,
    # rests of every tile.
    for i, (b, h, s, t, d, dv) in enumerate([
            (1, 2, 5, 5, 8, 8), (2, 3, 17, 33, 20, 12), (1, 1, 1, 70, 64, 64), (2, 2, 130, 65, 16, 40),
            (1, 4, 8, 128, 64, 64), (1, 2, 300, 64, 32, 17), (2, 1, 7, 1, 5, 3), (1, 2, 9, 200, 33, 96)]):
        with g.case(f"attention_{s}_{t}_{d}_{dv}"):
            q, k, v = g.input(b, h, s, d), g.input(b, h, t, d), g.input(b, h, t, dv)
            masks = [None, g.input(s, t), g.input(b, 1, 1, t), g.input(1, h, s, t), g.input(s, 1)]
            g.output(attend(g, q, k, v, masks[i % 5]))
    with g.case("masked_out"):
        # Keys that nobody sees, whole blocks of them for some queries.
        hidden = np.where(np.arange(150)[None, :] > np.arange(40)[:, None] * 4, -np.inf, 0.0)
        q, k, v = g.input(2, 2, 40, 16), g.input(2, 2, 150, 16), g.input(2, 2, 150, 16)
        g.output(attend(g, q, k, v, g.weight(values=hidden)))
    with g.case("one_tensor"):
        # Keys that are the values, and queries that are both.
        q, k = g.input(1, 2, 9, 20), g.input(1, 2, 33, 20)
        g.output(attend(g, q, k, k, g.input(9, 33)))
        g.output(attend(g, q, q, q, None))
    with g.case("heads_of_rows"):
        # Heads cut from rows and put together again, as every exporter writes it.
        x = g.relu(g.input(2, 19, 48))
        q, k, v = (g.transpose(g.reshape(g.matmul(x, g.weight(48, 48)), 2, 19, 3, 16), 0, 2, 1, 3)
                   for _ in range(3))
        mixed = g.reshape(g.transpose(attend(g, q, k, v), 0, 2, 1, 3), 0, 0, -1)
        g.output(g.add(g.matmul(mixed, g.weight(48, 48)), x))
        g.output(k)
    return g


def empty_sizes():
    g = Graph("empty_sizes")
    for m, n, k in [(0, 5, 3), (4, 0, 3), (4, 33, 0), (0, 0, 0), (0, 64, 64), (1, 1, 0)]:
        with g.case(f"matmul_{m}_{n}_{k}"):
            g.output(g.add(g.matmul(g.input(m, k), g.input(k, n)), g.weight(n)))
    with g.case("conv"):
        g.output(g.relu(g.conv(g.input(0, 3, 8, 8), g.weight(16, 3, 3, 3), g.weight(16))))
    with g.case("concat"):
        x = g.input(2, 0, 3)
        g.output(g.concat(1, g.tanh(x), g.relu(g.input(2, 4, 3)), x))
    with g.case("reduce"):
        g.output(g.reduce("Sum", g.input(3, 0), [1]))
        g.output(g.reduce("Sum", g.input(0, 3), [1]))
    with g.case("softmax"):
        g.output(g.softmax(g.input(0, 5), -1))
    with g.case("elementwise"):
        g.output(g.neg(g.input(0)))
        g.output(g.add(g.input(0, 1), g.input(1, 7)))
    with g.case("slice"):
        g.output(g.slice(g.relu(g.input(4, 5)), 0, 2, 2))
    with g.case("scalar"):
        g.output(g.add(g.input(), g.input()))
        g.output(g.reduce("Sum", g.input(5, 7), [0, 1], keepdims=0))
        g.output(g.reshape(g.relu(g.input(1, 1)), 1))
    return g


def reductions():
    g = Graph("reductions")
    kinds = ["Sum", "Mean", "Max", "Min", "L2"]
    shapes = [(5, 7, 33), (2, 3, 4, 17), (1, 16, 1), (65,), (40, 8)]
    count = 0
    for shape in shapes:
        for size in range(1, len(shape) + 1):
            for axes in itertools.combinations(range(len(shape)), size):
                kind, keep = kinds[count % 5], count // 2 % 2
                count += 1
                with g.case(f"reduce_{kind}_{'x'.join(map(str, shape))}_{''.join(map(str, axes))}"):
                    x = g.input(*shape)
                    y = g.reduce(kind, g.tanh(x) if count % 3 == 0 else x, axes, keep)
                    g.output(g.sub(x, y) if keep and count % 2 else y)
    for axis in range(3):
        with g.case(f"arg_max_{axis}"):
            g.output(g.arg_max(g.input(4, 9, 17), axis))
    with g.case("integers"):
        g.output(g.reduce("Sum", g.input(5, 19, dtype="int64"), [0]))
        g.output(g.reduce("Max", g.input(5, 19, dtype="int32"), [1]))
    return g


def rows():
    g = Graph("rows")
    for size in (1, 2, 5, 16, 17, 31, 33, 65, 100):
        with g.case(f"softmax_{size}"):
            g.output(g.softmax(g.input(3, 4, size), -1))
            g.output(g.softmax(g.input(2, size, 3), 1))
        with g.case(f"layer_norm_{size}"):
            x = g.add(g.input(3, 5, size), g.weight(size))
            y = g.layer_norm(x, g.weight(size), g.weight(size))
            g.output(g.add(x, g.relu(y)))
    # Spelled out, with what the pieces share also used elsewhere.
    with g.case("spelled_out"):
        x = g.input(6, 33)
        top = g.reduce("Max", x, [1])
        powers = g.exp(g.sub(x, top))
        total = g.reduce("Sum", powers, [1])
        g.output(g.node("Div", powers.array / total.array, powers, total))
        g.output(g.add(top, total))
    with g.case("two_axes"):
        x = g.input(4, 5, 6)
        g.output(g.sub(x, g.reduce("Mean", g.sub(x, g.reduce("Mean", x, [2])), [1])))
    with g.case("different_rows"):
        # The second reduction runs across the rows of the first.
        x = g.relu(g.input(8, 8))
        g.output(g.reduce("Sum", g.mul(x, g.reduce("Sum", x, [1])), [0]))
        g.output(g.matmul(g.softmax(x, 0), g.softmax(x, 1)))
    return g


def element_types():
    """Booleans are one byte in memory, and lanes of other widths must not mix."""
    g = Graph("element_types")
    with g.case("matmul_mask"):
        y = g.matmul(g.input(9, 40), g.weight(40, 33))
        mask = g.greater(y, g.input(9, 33))
        g.output(mask)
        g.output(g.where(mask, y, g.neg(y)))
    with g.case("matmul_mask_read"):
        y = g.matmul(g.input(7, 16), g.weight(16, 48))
        g.output(g.where(g.input(7, 48, dtype="bool"), y, g.input(1, 48)))
    with g.case("matmul_cast"):
        y = g.matmul(g.input(5, 24), g.weight(24, 32))
        g.output(g.cast(g.greater(y, g.weight(values=0.0)), "int64"))
        g.output(g.add(y, g.cast(g.input(5, 32, dtype="int32"), "float32")))
    with g.case("matmul_integers"):
        g.output(g.matmul(g.input(6, 17, dtype="int32"), g.input(17, 33, dtype="int32")))
        g.output(g.matmul(g.input(6, 17, dtype="int64"), g.weight(17, 33, dtype="int64")))
    with g.case("conv_mask"):
        y = g.conv(g.input(1, 3, 8, 8), g.weight(20, 3, 3, 3))
        g.output(g.greater(y, g.weight(values=0.0)))
    with g.case("masked_softmax"):
        x, mask = g.input(3, 17), g.input(3, 17, dtype="bool")
        g.output(g.softmax(g.where(mask, x, g.weight(values=-1e9)), -1))
    with g.case("bool_chain"):
        mask = g.greater(g.input(5, 13), g.input(13))
        g.output(g.node("Not", ~mask.array, mask))
        g.output(g.concat(0, mask, g.input(2, 13, dtype="bool")))
    return g


def views():
    """Concatenations, pads and slices of values with several users."""
    g = Graph("views")
    with g.case("concat_and_elsewhere"):
        a, b = g.relu(g.input(3, 5)), g.tanh(g.input(3, 4))
        g.output(g.concat(1, a, b))
        g.output(g.neg(a))
        g.output(b)
    with g.case("concat_twice"):
        a = g.relu(g.input(2, 6))
        g.output(g.concat(0, a, a))
        g.output(g.concat(1, a, g.neg(a), a))
    with g.case("concat_common_start"):
        a, b, c = (g.relu(g.input(2, 6)) for _ in range(3))
        g.output(g.concat(0, a, g.neg(b)))
        g.output(g.concat(0, a, g.exp(c)))
        g.output(g.concat(0, a, g.tanh(c), g.exp(b)))
    with g.case("nested_concat"):
        a, b, c = (g.relu(g.input(2, n, 4)) for n in (1, 3, 2))
        inner = g.concat(1, a, b)
        g.output(g.concat(1, inner, c))
        g.output(g.tanh(inner))
        g.output(g.concat(2, g.concat(1, g.neg(a), g.neg(b)), g.concat(1, g.exp(a), g.exp(b))))
    with g.case("concat_of_matmul"):
        x = g.input(7, 16)
        parts = [g.relu(g.matmul(x, g.weight(16, n))) for n in (33, 1, 8)]
        g.output(g.tanh(g.concat(1, *parts)))
    with g.case("concat_of_convs"):
        x = g.input(1, 3, 6, 6)
        parts = [g.relu(g.conv(x, g.weight(n, 3, 3, 3), g.weight(n), pads=[1, 1, 1, 1]))
                 for n in (16, 5, 33)]
        joined = g.concat(1, *parts)
        g.output(g.conv(joined, g.weight(8, 54, 1, 1)))
        g.output(parts[1])
    with g.case("dense_block"):
        x = g.conv(g.input(1, 3, 8, 8), g.weight(8, 3, 3, 3), pads=[1, 1, 1, 1])
        for _ in range(3):
            y = g.conv(g.relu(x), g.weight(4, x.shape[1], 3, 3), pads=[1, 1, 1, 1])
            x = g.concat(1, x, y)
        g.output(x)
    with g.case("slice_and_pad"):
        x = g.relu(g.input(4, 6))
        g.output(g.pad(x, (1, 2), (0, 1), 0.5))
        g.output(g.neg(g.slice(x, 1, 1, 4)))
        g.output(g.pad(g.slice(x, 0, 1, 3), (2, 0), (0, 3)))
    with g.case("pad_once"):
        g.output(g.relu(g.pad(g.tanh(g.input(3, 5)), (1, 1), (1, 1), -1.0)))
    with g.case("pad_of_pad"):
        g.output(g.pad(g.pad(g.exp(g.input(3, 3)), (1, 0), (0, 1), 2.0), (0, 2), (1, 0), 3.0))
    with g.case("pad_of_concat"):
        x = g.input(2, 3)
        g.output(g.pad(g.concat(1, g.neg(x), g.exp(x)), (1, 1), (1, 1)))
        g.output(g.concat(0, g.pad(g.relu(x), (0, 1), (1, 0), 4.0), g.pad(x, (0, 0), (0, 1))))
    with g.case("pad_modes"):
        x = g.relu(g.input(5, 6))
        g.output(g.pad(x, (2, 1), (1, 3), mode="reflect"))
        g.output(g.pad(x, (2, 1), (1, 3), mode="edge"))
    with g.case("conv_of_padded_twice"):
        x = g.relu(g.input(1, 5, 7, 7))
        g.output(g.add(g.conv(x, g.weight(6, 5, 3, 3), pads=[1, 1, 1, 1]),
                       g.conv(x, g.weight(6, 5, 5, 5), pads=[2, 2, 2, 2])))
    with g.case("slices"):
        x = g.tanh(g.input(6, 10))
        g.output(g.slice(x, 1, 0, 10, 3))
        g.output(g.slice(x, 1, 9, -11, -2))
        g.output(g.add(g.slice(x, 0, 0, 3), g.slice(x, 0, 3, 6)))
        g.output(g.slice(g.slice(x, 0, 1, 5), 1, 2, 8, 2))
    with g.case("split_and_join"):
        a, b, c = g.split(g.relu(g.input(3, 12)), 1, 3, 5, 4)
        g.output(g.concat(1, c, a, b))
        g.output(g.reduce("Sum", b, [1]))
    with g.case("reshape_of_slice"):
        x = g.relu(g.input(4, 6, 5))
        g.output(g.reshape(g.slice(x, 1, 1, 4), 4, 15))
        g.output(g.reshape(g.slice(x, 0, 1, 3), 60))
        g.output(g.matmul(g.reshape(g.slice(x, 2, 0, 4), 24, 4), g.weight(4, 17)))
    with g.case("reshape_into_concat"):
        x = g.input(2, 12)
        g.output(g.concat(1, g.reshape(g.relu(x), 2, 3, 4), g.reshape(g.neg(x), 2, 3, 4)))
        g.output(g.concat(2, g.reshape(g.relu(x), 2, 3, 4), g.reshape(g.neg(x), 2, 3, 4)))
    with g.case("gather"):
        x = g.relu(g.input(5, 7))
        g.output(g.gather(x, g.ints([[0, 4], [2, -1]]), 0))
        g.output(g.concat(0, g.gather(x, g.ints([3]), 0), g.neg(x)))
    return g


def transposes():
    g = Graph("transposes")
    for order in itertools.permutations(range(3)):
        with g.case("transpose_" + "".join(map(str, order))):
            g.output(g.transpose(g.relu(g.input(5, 17, 33)), *order))
    with g.case("transpose_4"):
        x = g.input(2, 3, 4, 5)
        g.output(g.transpose(x, 0, 2, 3, 1))
        g.output(g.add(g.transpose(x, 0, 3, 1, 2), g.weight(4)))
    with g.case("transpose_nothing"):
        g.output(g.transpose(g.input(3, 4, 0, 5), 0, 3, 2, 1))
        g.output(g.relu(g.transpose(g.input(2, 0, 3, 4), 2, 1, 0, 3)))
    # Squares of a vector by a vector: whole ones, and rests of either side and both.
    for shape in [(16, 16), (32, 48), (17, 40), (40, 17), (9, 100), (64, 9), (2, 31, 33),
                  (3, 64, 16)]:
        order = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
        with g.case("squares_" + "x".join(map(str, shape))):
            x = g.input(*shape)
            y = g.transpose(x, *order)
            g.output(y)
            turned = [shape[i] for i in order]
            g.output(g.relu(g.add(g.mul(y, g.input(*turned)), g.weight(turned[-1]))))
            g.output(g.sub(g.transpose(g.tanh(x), *order), g.input(*turned[:-1], 1)))
    with g.case("there_and_back"):
        x = g.tanh(g.input(8, 12))
        y = g.relu(g.transpose(x, 1, 0))
        g.output(g.transpose(y, 1, 0))
        g.output(g.matmul(y, x))
        g.output(g.matmul(x, y))
    with g.case("add_of_own_transpose"):
        x = g.relu(g.input(9, 9))
        g.output(g.add(x, g.transpose(x, 1, 0)))
    with g.case("transposed_epilogue"):
        y = g.matmul(g.input(16, 8), g.weight(8, 16))
        g.output(g.add(y, g.transpose(y, 1, 0)))
    with g.case("transposed_result"):
        g.output(g.transpose(g.relu(g.matmul(g.input(10, 8), g.weight(8, 33))), 1, 0))
    return g


def residuals():
    g = Graph("residuals")
    with g.case("matmul_residual"):
        x = g.input(6, 32)
        y = g.add(x, g.matmul(g.relu(g.matmul(x, g.weight(32, 64))), g.weight(64, 32)))
        g.output(g.add(y, g.tanh(y)))
    with g.case("square"):
        y = g.matmul(g.input(8, 8), g.weight(8, 40))
        g.output(g.mul(y, y))
        g.output(g.add(y, y))
    with g.case("product_of_products"):
        x = g.input(7, 16)
        a, b = g.matmul(x, g.weight(16, 33)), g.matmul(x, g.weight(16, 33))
        g.output(g.mul(g.sigmoid(a), b))
    with g.case("bias_of_rows"):
        y = g.matmul(g.input(7, 16), g.weight(16, 40))
        g.output(g.add(g.mul(y, g.input(7, 1)), g.weight(40)))
    with g.case("epilogue_reads_row_of_itself"):
        y = g.matmul(g.input(7, 16), g.weight(16, 40))
        g.output(g.sub(y, g.slice(y, 0, 0, 1)))
        g.output(g.sub(y, g.reduce("Max", y, [1])))
    with g.case("conv_residual"):
        x = g.relu(g.conv(g.input(1, 3, 8, 8), g.weight(16, 3, 3, 3), pads=[1, 1, 1, 1]))
        for _ in range(2):
            y = g.conv(x, g.weight(16, 16, 3, 3), g.weight(16), pads=[1, 1, 1, 1])
            x = g.relu(g.add(x, y))
        g.output(x)
    with g.case("squeeze_and_excite"):
        x = g.conv(g.input(1, 8, 6, 6), g.weight(24, 8, 1, 1))
        scale = g.sigmoid(g.conv(g.reduce("Mean", x, [2, 3]), g.weight(24, 24, 1, 1)))
        g.output(g.mul(x, scale))
    with g.case("long_chain"):
        x = y = g.input(3, 17)
        for i in range(30):
            y = g.add(g.mul(g.tanh(y), g.weight(17)), x if i % 7 == 0 else g.weight(17))
        g.output(y)
    return g


def endings():
    """Outputs that are inputs, constants, other outputs, or views of them."""
    g = Graph("endings")
    x = g.input(3, 4)
    g.output(x)
    g.output(x)
    with g.case("twice"):
        y = g.relu(x)
        g.output(y)
        g.output(y)
        g.output(g.neg(y))
    with g.case("constant"):
        c = g.weight(2, 3)
        g.output(g.identity(c))
        g.output(g.add(c, c))
        g.output(g.reshape(c, 3, 2))
        g.output(g.expand(g.weight(1, 3), 4, 3))
    with g.case("views_of_inputs"):
        g.output(g.reshape(x, 12))
        g.output(g.slice(x, 0, 1, 3))
        g.output(g.transpose(x, 1, 0))
        g.output(g.expand(x, 2, 3, 4))
    with g.case("views_of_outputs"):
        y = g.tanh(g.input(4, 6))
        g.output(y)
        g.output(g.reshape(y, 24))
        g.output(g.slice(y, 1, 2, 4))
        g.output(g.reshape(g.slice(y, 0, 0, 2), 12))
    with g.case("concat_and_parts"):
        a, b = g.relu(g.input(2, 3)), g.neg(g.input(2, 3))
        joined = g.concat(0, a, b)
        g.output(joined)
        g.output(a)
        g.output(g.slice(joined, 0, 1, 3))
    return g


def families():
    """Kernels that differ in constants alone, of which some are special and some lie twice."""
    g = Graph("families")
    values = [(0.1, 3.5), (0.7, 3.5), (0.5, -2.25), (1.0, 0.0), (-0.3, 0.7), (0.7, 0.7)]
    for size in (1, 7, 16, 35):
        with g.case(f"elementwise_{size}"):
            x = g.input(3, size)
            for scale, offset in values:
                y = g.add(g.mul(x, g.weight(values=[scale])), g.weight(values=[offset]))
                g.output(g.mul(g.tanh(y), g.weight(values=[scale])))
    for m, n in ((1, 5), (9, 40)):
        with g.case(f"tiles_{m}_{n}"):
            for scale, offset in values:
                y = g.matmul(g.input(m, 20), g.weight(20, n))
                g.output(g.add(g.mul(y, g.weight(values=[scale])), g.weight(values=[offset])))
    return g


def recurrent():
    g = Graph("recurrent")
    for direction, hidden in [("forward", 5), ("reverse", 16), ("bidirectional", 17)]:
        d = 2 if direction == "bidirectional" else 1
        with g.case(f"lstm_{direction}_{hidden}"):
            for result in g.lstm(g.input(4, 3, 6), g.weight(d, 4 * hidden, 6),
                                 g.weight(d, 4 * hidden, hidden), g.weight(d, 8 * hidden),
                                 direction):
                g.output(result)
    return g


def parallel():
    """Large enough that several threads take part."""
    g = Graph("parallel")
    with g.case("matmul"):
        x = g.input(257, 129)
        y = g.matmul(x, g.weight(129, 321))
        g.output(g.relu(g.add(y, g.weight(321))))
        g.output(g.softmax(y, -1))
        g.output(g.softmax(y, 0))
    with g.case("wide"):
        g.output(g.matmul(g.input(1, 300), g.weight(300, 1001)))
    with g.case("tall"):
        g.output(g.matmul(g.input(2001, 33), g.weight(33, 5)))
    with g.case("batched"):
        g.output(g.matmul(g.input(12, 65, 64), g.input(12, 64, 70)))
    with g.case("conv"):
        x = g.relu(g.conv(g.input(2, 3, 41, 43), g.weight(40, 3, 3, 3), g.weight(40),
                          pads=[1, 1, 1, 1]))
        y = g.conv(x, g.weight(40, 1, 3, 3), group=40, pads=[1, 1, 1, 1])
        g.output(g.concat(1, y, g.conv(x, g.weight(17, 40, 1, 1))))
        g.output(g.add(x, y))
        g.output(g.max_pool(y, (3, 3), [2, 2]))
        g.output(g.reduce("Mean", x, [2, 3]))
    with g.case("rows"):
        x = g.input(300, 400)
        g.output(g.layer_norm(x, g.weight(400), g.weight(400)))
        g.output(g.reduce("Sum", x, [0]))
        g.output(g.reduce("Max", x, [0, 1]))
        g.output(g.arg_max(x, 0))
    with g.case("elementwise"):
        x = g.input(7, 301, 203)
        g.output(g.transpose(g.tanh(x), 2, 0, 1))
        g.output(g.mul(x, g.input(301, 1)))
        g.output(g.pad(g.exp(x), (0, 2, 1), (1, 0, 3), 1.0))
    return g


def dynamic_loops(b, s):
    g = Graph("dynamic_loops", b=b, s=s)
    for direction, hidden in [("forward", 8), ("bidirectional", 5)]:
        d = 2 if direction == "bidirectional" else 1
        y, h, c = g.lstm(g.input("s", "b", 7), g.weight(d, 4 * hidden, 7),
                         g.weight(d, 4 * hidden, hidden), g.weight(d, 8 * hidden), direction)
        g.output(y, ["s", d, "b", hidden])
        g.output(h, [d, "b", hidden])
        g.output(g.relu(c), [d, "b", hidden])
    return g


def dynamic_matmul(m, n, k):
    g = Graph("dynamic_matmul", m=m, n=n, k=k)
    a, b = g.input("m", "k"), g.input("k", "n")
    y = g.matmul(a, b)
    g.output(y, ["m", "n"])
    g.output(g.relu(g.add(y, g.input("n"))), ["m", "n"])
    g.output(g.matmul(g.input("m", 33), g.weight(33, 65)), ["m", 65])
    g.output(g.softmax(g.matmul(a, g.transpose(g.input("n", "k"), 1, 0)), -1), ["m", "n"])
    return g


def dynamic_rows(b, s):
    g = Graph("dynamic_rows", b=b, s=s)
    x = g.input("b", "s", 24)
    y = g.layer_norm(g.add(x, g.weight(24)), g.weight(24), g.weight(24))
    g.output(y, ["b", "s", 24])
    g.output(g.reduce("Sum", y, [1]), ["b", 1, 24])
    g.output(g.reduce("Mean", g.tanh(x), [0, 2], keepdims=0), ["s"])
    z = g.transpose(g.reshape(y, 0, 0, 3, 8), 0, 2, 1, 3)
    g.output(g.softmax(g.matmul(z, g.transpose(z, 0, 1, 3, 2)), -1), ["b", 3, "s", "s"])
    g.output(g.concat(1, y, g.neg(x), y), ["b", "t", 24])
    g.output(g.concat(2, g.relu(y), x), ["b", "s", 48])
    g.output(g.pad(g.relu(x), (0, 1, 2), (1, 0, 3), 2.0), ["p", "q", 29])
    g.output(g.add(g.slice(y, 2, 1, 24, 5), g.input("s", 1)), ["b", "s", 5])
    g.output(g.reshape(g.slice(y, 2, 4, 12), 0, 0, 2, 4), ["b", "s", 2, 4])
    g.output(x, ["b", "s", 24])
    return g


def dynamic_attention(b, s, t):
    g = Graph("dynamic_attention", b=b, s=s, t=t)
    q, k, v = g.input("b", 2, "s", 24), g.input("b", 2, "t", 24), g.input("b", 2, "t", 20)
    g.output(attend(g, q, k, v, g.input("b", 1, "s", "t")), ["b", 2, "s", 20])
    x = g.input("b", "s", 32)
    y = g.transpose(g.reshape(x, 0, 0, 2, 16), 0, 2, 1, 3)
    mixed = g.reshape(g.transpose(attend(g, y, y, y), 0, 2, 1, 3), 0, 0, 32)
    g.output(g.relu(mixed), ["b", "s", 32])
    return g


def dynamic_views(b, s):
    g = Graph("dynamic_views", b=b, s=s)
    x = g.relu(g.input("b", "s", 24))
    g.output(g.reshape(g.slice(x, 2, 4, 12), 0, -1), ["b", "r"])
    g.output(g.matmul(g.reshape(x, -1, 24), g.weight(24, 17)), ["r", 17])
    g.output(g.slice(g.transpose(x, 1, 0, 2), 0, 0, 1), [1, "b", 24])
    g.output(g.slice(x, 1, -1, 2**31), ["b", 1, 24])
    g.output(g.slice(x, 1, -1, -2**31, -1), ["b", "s", 24])
    g.output(g.concat(1, g.slice(x, 1, 0, 1), x), ["b", "t", 24])
    g.output(g.add(x, g.reduce("Max", x, [1])), ["b", "s", 24])
    g.output(g.expand(g.slice(x, 1, 0, 1), 1, 3, 24), ["b", 3, 24])
    g.output(g.conv(g.transpose(x, 0, 2, 1), g.weight(5, 24, 3), pads=[1, 1]), ["b", 5, "s"])
    return g


STATIC = [matmul, gemm, batch_matmul, attention, empty_sizes, reductions, rows, element_types, views,
          transposes, residuals, endings, families, recurrent, parallel]
DYNAMIC = [
    (dynamic_matmul, [dict(zip("mnk", sizes)) for sizes in
                      [*covering(SIZES, SIZES, SIZES)[::16], (0, 3, 2), (3, 0, 2), (2, 3, 0)]]),
    (dynamic_rows, [dict(zip("bs", sizes)) for sizes in
                    [(1, 1), (2, 5), (3, 16), (1, 33), (4, 17), (0, 3), (3, 0)]]),
    (dynamic_attention, [dict(zip("bst", sizes)) for sizes in
                         [(1, 1, 9), (2, 7, 7), (1, 2, 100), (3, 140, 65), (1, 16, 128), (0, 3, 3),
                          (2, 0, 5)]]),
    (dynamic_views, [dict(zip("bs", sizes)) for sizes in [(1, 1), (2, 7), (5, 16), (3, 33)]]),
    (dynamic_loops, [dict(zip("bs", sizes)) for sizes in [(1, 1), (3, 4), (2, 17)]]),
]
