# Convolutions and pools, of sizes that leave remainders.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""As schedule_cases.py."""
from schedule_cases import covering
from tracer import Graph


def conv_2d():
    g = Graph("conv_2d")
    channels = [1, 3, 5, 16, 24, 33]
    variants = [dict(), dict(pads=[1, 1, 1, 1]), dict(strides=[2, 2], pads=[1, 1, 1, 1]),
                dict(dilations=[2, 1], pads=[2, 0, 1, 1]), dict(strides=[2, 3], pads=[0, 2, 1, 0]),
                dict(dilations=[2, 2], strides=[2, 1], pads=[2, 2, 2, 2])]
    kernels = [(1, 1), (3, 3), (2, 3), (5, 1), (3, 3), (1, 1)]
    heights = [7, 9, 12, 6, 15, 8]
    for i, (c, o, v) in enumerate(covering(channels, channels, range(6))):
        kernel, height = kernels[(i + v) % 6], heights[(i + 2 * v) % 6]
        with g.case(f"conv_{c}_{o}_{kernel[0]}x{kernel[1]}_{v}"):
            x = g.input(1 + i % 2, c, height, height + 1)
            y = g.conv(x, g.weight(o, c, *kernel), g.weight(o) if i % 2 else None, **variants[v])
            if i % 3 == 0:
                y = g.relu(y)
            if i % 4 == 0:
                y = g.add(y, g.tanh(y))
            g.output(y)
    return g


def winograd():
    g = Graph("winograd")
    # Channels, filters, height, width, batch, padding: whole and ragged tiles, lanes and panels,
    # one block and several, filters in parts.
    for c, o, h, w, n, pad in [(16, 32, 12, 16, 1, 1), (20, 40, 13, 11, 2, 1), (33, 17, 9, 30, 1, 1),
                               (64, 64, 56, 28, 1, 1), (48, 200, 10, 10, 1, 1),
                               (17, 65, 18, 7, 3, 0), (128, 96, 7, 7, 2, 1), (40, 13, 41, 6, 1, 1)]:
        with g.case(f"conv_{c}_{o}_{h}x{w}_{n}"):
            x = g.relu(g.input(n, c, h, w))
            y = g.conv(x, g.weight(o, c, 3, 3), g.weight(o), pads=[pad] * 4)
            if c % 2 == 0:
                y = g.relu(g.add(y, g.conv(x, g.weight(o, c, 1, 1), pads=[pad - 1] * 4)
                                 if pad else g.weight(o, 1, 1)))
            g.output(y)
    with g.case("one_after_the_other"):
        x = g.relu(g.conv(g.input(1, 24, 20, 20), g.weight(32, 24, 3, 3), pads=[1, 1, 1, 1]))
        y = g.conv(x, g.weight(32, 32, 3, 3), g.weight(32), pads=[1, 1, 1, 1])
        g.output(g.relu(g.add(x, y)))
        g.output(g.conv(g.concat(1, x, y), g.weight(16, 64, 3, 3), pads=[1, 1, 1, 1]))
    with g.case("parts_of_images"):
        x = g.tanh(g.input(1, 16, 24, 24))
        x = g.slice(g.slice(x, 2, 3, 20), 3, 2, 24)
        g.output(g.conv(x, g.weight(32, 16, 3, 3)))
    return g


def conv_groups():
    g = Graph("conv_groups")
    cases = [(4, 4, 4), (16, 16, 16), (24, 24, 24), (33, 33, 33), (3, 6, 3), (8, 24, 8),
             (6, 4, 2), (16, 8, 4), (32, 48, 2), (66, 66, 2), (1, 5, 1)]
    for i, (c, o, group) in enumerate(cases):
        for j, options in enumerate([dict(pads=[1, 1, 1, 1]), dict(strides=[2, 2]),
                                     dict(dilations=[2, 2], pads=[2, 2, 2, 2])]):
            with g.case(f"conv_{c}_{o}_by_{group}_{j}"):
                y = g.conv(g.input(1 + j % 2, c, 8, 9), g.weight(o, c // group, 3, 3), g.weight(o),
                           group=group, **options)
                g.output(g.mul(y, g.sigmoid(y)) if i % 2 else y)
    # Single channels along long rows, where they lie and between others with channels last.
    for c, h, w, options in [(5, 6, 48, dict(pads=[1, 1, 1, 1])), (3, 9, 61, dict(pads=[2, 0, 1, 2])),
                             (16, 5, 64, dict(strides=[2, 1], pads=[1, 1, 1, 1])),
                             (7, 8, 63, dict(dilations=[1, 2], pads=[0, 2, 0, 2]))]:
        with g.case(f"rows_{c}_{w}"):
            x = g.input(2, c, h, w)
            y = g.relu(g.conv(x, g.weight(c, 1, 3, 3), g.weight(c), group=c, **options))
            g.output(y)
            z = g.conv(y, g.weight(24, c, 3, 3), pads=[1, 1, 1, 1])
            g.output(g.conv(z, g.weight(24, 1, 3, 3), group=24, pads=[1, 1, 1, 1]))
    with g.case("rows_of_one_dimension"):
        g.output(g.conv(g.input(1, 6, 80), g.weight(6, 1, 5), group=6, pads=[2, 2]))
    return g


def conv_other_ranks():
    g = Graph("conv_other_ranks")
    for c, o, k, size in [(1, 1, 3, 10), (3, 16, 3, 31), (16, 33, 5, 20), (24, 8, 1, 17),
                          (64, 64, 3, 40)]:
        with g.case(f"conv1d_{c}_{o}_{k}"):
            g.output(g.conv(g.input(2, c, size), g.weight(o, c, k), g.weight(o),
                            pads=[k // 2, k // 2], strides=[1 + c % 2]))
    with g.case("conv1d_depthwise"):
        g.output(g.conv(g.input(1, 17, 33), g.weight(17, 1, 4), group=17, pads=[3, 0]))
    with g.case("conv3d"):
        g.output(g.conv(g.input(1, 3, 5, 6, 7), g.weight(8, 3, 2, 3, 3), g.weight(8),
                        pads=[1, 0, 1, 0, 1, 1]))
    with g.case("weights_computed"):
        g.output(g.conv(g.input(1, 5, 6, 6), g.tanh(g.input(7, 5, 3, 3))))
    return g


def pools():
    g = Graph("pools")
    for c in (1, 3, 16, 33):
        with g.case(f"pool_{c}"):
            x = g.relu(g.input(2, c, 9, 10))
            g.output(g.max_pool(x, (3, 3), [2, 2], [1, 1, 1, 1]))
            g.output(g.average_pool(x, (2, 2), [2, 2]))
            g.output(g.average_pool(x, (3, 3), [1, 2], [1, 1, 1, 1]))
            g.output(g.average_pool(x, (3, 3), [2, 1], [1, 0, 1, 2], count_include_pad=1))
            g.output(g.node("GlobalAveragePool", x.array.mean((2, 3), keepdims=True), x))
            g.output(g.node("GlobalMaxPool", x.array.max((2, 3), keepdims=True), x))
    with g.case("pool1d"):
        g.output(g.max_pool(g.input(1, 5, 16), (2,), [2]))
        g.output(g.average_pool(g.input(1, 17, 16), (4,), [3], [2, 1]))
    return g


def pointwise(b, s):
    """Kernels of one pixel, at a model's edges and among operations that know no other layout."""
    g = Graph("pointwise", b=b, s=s)
    for c, o in [(24, 33), (1, 5), (40, 1), (3, 64)]:
        y = g.conv(g.input("b", c, "s"), g.weight(o, c, 1), g.weight(o))
        g.output(g.softmax(g.relu(y), -1), ["b", o, "s"])
        y = g.relu(g.conv(g.input("b", c, 20, 15), g.weight(o, c, 1, 1), g.weight(o)))
        g.output(g.add(y, g.input("b", o, 20, 15)), ["b", o, 20, 15])
        g.output(g.conv(g.relu(y), g.weight(17, o, 1, 1)), ["b", 17, 20, 15])
        g.output(g.conv(g.input("b", c, 3, 3), g.weight(o, c, 1, 1)), ["b", o, 3, 3])
    g.output(g.conv(g.input("b", 3, 2, 5, 7), g.weight(8, 3, 1, 1, 1), g.weight(8)), ["b", 8, 2, 5, 7])
    g.output(g.conv(g.input("b", 5, 18, 18), g.tanh(g.input(7, 5, 1, 1))), ["b", 7, 18, 18])
    return g


def dynamic_images(b, h):
    g = Graph("dynamic_images", b=b, h=h)
    x = g.input("b", 3, "h", "h")
    y = g.relu(g.conv(x, g.weight(16, 3, 3, 3), g.weight(16), pads=[1, 1, 1, 1]))
    y = g.add(y, g.conv(y, g.weight(16, 1, 3, 3), g.weight(16), pads=[1, 1, 1, 1], group=16))
    g.output(y, ["b", 16, "h", "h"])
    z = g.max_pool(y, (3, 3), [2, 2], [1, 1, 1, 1])
    g.output(g.conv(z, g.weight(33, 16, 1, 1), strides=[2, 2]), ["b", 33, "u", "u"])
    g.output(g.concat(1, z, g.average_pool(y, (3, 3), [2, 2], [1, 1, 1, 1])), ["b", 32, "v", "v"])
    w = g.conv(y, g.weight(24, 16, 3, 3), g.weight(24), pads=[1, 1, 1, 1])
    g.output(g.relu(w), ["b", 24, "h", "h"])
    # Filters in parts, of which an item takes some or all, and weights that the cache does not hold.
    w = g.relu(g.conv(w, g.weight(200, 24, 3, 3), g.weight(200), pads=[1, 1, 1, 1]))
    g.output(g.conv(w, g.weight(70, 200, 3, 3), pads=[1, 1, 1, 1]), ["b", 70, "h", "h"])
    mean = g.reduce("Mean", y, [2, 3], keepdims=0)
    g.output(g.gemm(mean, g.weight(10, 16), g.weight(10), transB=1), ["b", 10])
    return g


STATIC = [conv_2d, winograd, conv_groups, conv_other_ranks, pools]
DYNAMIC = [(pointwise, [dict(zip("bs", sizes)) for sizes in
                        [(1, 1), (2, 7), (3, 300), (0, 5), (2, 0)]]),
           (dynamic_images, [dict(zip("bh", sizes)) for sizes in
                             [(1, 9), (2, 16), (3, 5), (0, 7), (1, 1), (2, 39)]])]
