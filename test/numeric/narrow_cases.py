# Element types of 8 bits and less: conversions of every value, elements that share bytes.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""As operator_cases.py. Files hold narrow floats as their bits, and narrow integers as bytes."""
import numpy as np

from tracer import Graph

# Bits, bits of the mantissa, bias, largest number without its sign, what overflow and NaN become.
FLOATS = {
    "float8e4m3fn": (8, 3, 7, 0x7e, 0x7f, 0x7f), "float8e5m2": (8, 2, 15, 0x7b, 0x7c, 0x7e),
    "float8e4m3fnuz": (8, 3, 8, 0x7f, 0x80, 0x80), "float8e5m2fnuz": (8, 2, 16, 0x7f, 0x80, 0x80),
    "float4e2m1": (4, 1, 1, 0x7, 0x7, 0x8),
}
NUMBERS = {"float8e4m3fn": 17, "float8e4m3fnuz": 18, "float8e5m2": 19, "float8e5m2fnuz": 20,
           "uint4": 21, "int4": 22, "float4e2m1": 23, "float8e8m0": 24, "uint2": 25, "int2": 26}


def decode(kind):
    """The numbers of all codes."""
    if kind == "float8e8m0":
        return np.where(np.arange(256) == 255, np.nan, np.ldexp(1.0, np.arange(256) - 127))
    bits, mantissa, bias, largest, overflow, _ = FLOATS[kind]
    code = np.arange(1 << bits)
    magnitude = code & ((1 << (bits - 1)) - 1)
    exponent, fraction = magnitude >> mantissa, magnitude % (1 << mantissa)
    value = np.where(exponent > 0,
                     np.ldexp(1 + fraction / (1 << mantissa), exponent - bias),
                     np.ldexp(fraction / (1 << mantissa), 1 - bias))
    value = np.where(magnitude > largest, np.inf if magnitude[-1] > overflow else np.nan, value)
    if kind == "float8e5m2":
        value = np.where(magnitude > overflow, np.nan, value)
    if kind.endswith("uz"):
        value = np.where(code == 0x80, np.nan, value)
    return np.where(code >> (bits - 1), -value, value)


def encode(kind, values, saturate=True):
    """The codes of the nearest numbers, ties to the even code."""
    bits, mantissa, bias, largest, overflow, nan = FLOATS[kind]
    numbers = decode(kind)[:largest + 1]
    step = numbers[-1] - numbers[-2]
    ladder = np.append(numbers, numbers[-1] + step)  # what would come next
    codes = []
    for value in values:
        size = abs(value)
        if np.isnan(value):
            codes.append(nan if kind.endswith("uz") or bits == 4 else
                         nan | (int(np.signbit(value)) << (bits - 1)))
            continue
        off = np.abs(ladder - min(size, 2 * ladder[-1]))
        best = min(np.flatnonzero(off == off.min()), key=lambda code: code % 2)
        if best > largest:
            best = largest if saturate else overflow
        sign = int(np.signbit(value))
        if kind.endswith("uz"):
            sign = sign and best not in (0, 0x80)
        codes.append(int(best) | sign << (bits - 1))
    return np.uint8(codes)


def probes(kind):
    """All numbers, what lies between them and just beside that, and what is out of range."""
    numbers = np.unique(np.abs(decode(kind)[np.isfinite(decode(kind))]))
    between = (numbers[1:] + numbers[:-1]) / 2
    beyond = numbers[-1] + (numbers[-1] - numbers[-2]) * np.array([0.5, 0.51, 1, 4])
    values = np.concatenate([numbers, between, beyond]).astype("float32")
    values = np.concatenate([values, np.nextafter(values, np.float32(0)),
                             np.nextafter(values, np.float32(np.inf))])
    special = np.float32([np.inf, np.nan, 1e30, 1e-40])
    return np.concatenate([values, -values, special, -special]).astype("float64")


def floats():
    g = Graph("floats", opset=25)
    for kind in [*FLOATS, "float8e8m0"]:
        with g.case(f"decode_{kind}"):
            values = decode(kind)
            x = g.given(np.arange(len(values)).astype("uint8")[1:], kind=kind)
            g.output(g.node("Cast", values[1:], x, to=1))
    for kind in FLOATS:
        for saturate in (1, 0):
            values = probes(kind)
            codes = encode(kind, values, saturate)
            with g.case(f"encode_{kind}_{saturate}"):
                x = g.given(values)
                y = g.node("Cast", codes, x, to=NUMBERS[kind], saturate=saturate, kind=kind)
                # As numbers, since all NaN are one.
                g.output(g.node("Cast", decode(kind)[codes], y, to=1))
                double = g.node("Cast", values, x, to=11)
                z = g.node("Cast", codes, double, to=NUMBERS[kind], saturate=saturate, kind=kind)
                g.output(g.node("Cast", decode(kind)[codes], z, to=1))
    values = np.float64([1, 1.25, 1.5, 1.75, 2, 3, 1e30, 2.0**-126, 2.0**-127, 0, np.inf, np.nan])
    for mode, add in {"up": [0, 1, 1, 1, 0, 1, 1, 0, 0], "down": [0] * 9,
                      "nearest": [0, 0, 1, 1, 0, 1, 1, 0, 0]}.items():
        with g.case(f"powers_{mode}"):
            codes = np.floor(np.log2(values[:9])).astype(int) + 127 + add
            codes = np.uint8([*codes, 0, 254, 255])
            y = g.node("Cast", codes, g.given(values), to=24, round_mode=mode, kind="float8e8m0")
            g.output(g.node("Cast", decode("float8e8m0")[codes], y, to=1))
    return g


def integers(**sizes):
    """Elements that share bytes: sizes that leave a part of a byte over."""
    g = Graph("integers", opset=25, **sizes)
    n = sizes["n"]
    for kind, low, high in [("int4", -8, 8), ("uint4", 0, 16), ("int2", -2, 2), ("uint2", 0, 4)]:
        dtype = "int8" if low else "uint8"

        def bits(*dims):
            shape = [sizes.get(dim, dim) for dim in dims]
            return g.given(g.random.integers(low, high, shape).astype(dtype), dims, kind)

        with g.case(kind):
            x, y = bits(3, "n"), bits(3, "n")
            g.output(g.node("Transpose", x.array.T, x, perm=[1, 0], kind=kind), ["n", 3])
            both = g.node("Concat", np.concatenate([x.array, y.array]), x, y, axis=0, kind=kind)
            g.output(both, [6, "n"])
            flat = g.node("Reshape", both.array.reshape(-1), both, g.ints([-1]), kind=kind)
            g.output(g.node("Slice", flat.array[1::2], flat, g.ints([1]), g.ints([2**40]),
                            g.ints([0]), g.ints([2]), kind=kind), ["part"])
            g.output(x, [3, "n"])
            g.output(g.node("Cast", x.array.astype("float64"), x, to=1), [3, "n"])
            g.output(g.given(np.zeros((0, 5), dtype), ("none", 5), kind), ["none", 5])
            g.output(g.given(dtype and np.array(high - 1, dtype), (), kind), [])
            wide = g.given(np.float64([-300, -9, -8.5, -1, 0, 1.9, 7, 15, 16, 300]))
            whole = np.trunc(wide.array).astype("int64") & (2 * high - 1 if low else high - 1)
            whole = np.where(whole >= high, whole - 2 * high, whole).astype(dtype)
            g.output(g.node("Cast", whole, wide, to=NUMBERS[kind], kind=kind))
            # Scales of one block of two along an axis, of which the last block may be cut off.
            scale = g.given(g.random.integers(1, 5, (3, (n + 1) // 2)) / 4.0, (3, "blocks"))
            zero = bits(3, "blocks")
            spread = [np.repeat(t.array, 2, 1)[:, :n] for t in (scale, zero)]
            g.output(g.node("DequantizeLinear", (x.array.astype(int) - spread[1]) * spread[0], x,
                            scale, zero, axis=1, block_size=2), [3, "n"])
            real = g.input(3, "n")
            quantized = np.rint(real.array / spread[0]) + spread[1]
            g.output(g.node("QuantizeLinear", np.clip(quantized, low, high - 1).astype(dtype), real,
                            scale, zero, axis=1, block_size=2, kind=kind), [3, "n"])
    real = g.input(3, "n")
    scale = g.weight(values=np.float64([0.25, 0.5, 3]))
    for kind in FLOATS:
        with g.case(f"quantize_{kind}"):
            codes = encode(kind, (real.array / scale.array[:, None]).ravel()).reshape(3, n)
            y = g.node("QuantizeLinear", codes, real, scale, axis=0, output_dtype=NUMBERS[kind],
                       kind=kind)
            g.output(g.node("DequantizeLinear", decode(kind)[codes] * scale.array[:, None], y, scale,
                            axis=-2), [3, "n"])
    return g


def untouched(**sizes):
    """Values that go from an input to an output, with no operation that says what they are."""
    g = Graph("untouched", opset=25, **sizes)
    n = sizes["n"]
    for kind, low, high in [("bool", 0, 2), ("int4", -8, 8), ("uint4", 0, 16), ("int2", -2, 2),
                            ("uint2", 0, 4), ("float4e2m1", 0, 16), ("float8e4m3fn", 0, 256)]:
        dtype = "bool" if kind == "bool" else "int8" if low else "uint8"
        with g.case(kind):
            for shape, dims in [([n], ["n"]), ([], []), ([3, 0], [3, 0])]:
                codes = g.random.integers(low, high, shape).astype(dtype)
                g.output(g.given(codes, dims, None if kind == "bool" else kind), dims)
    return g


def scales():
    """Scales without a fraction: powers of two and whole numbers do not round what they divide."""
    g = Graph("scales", opset=25)
    values = np.float64([[-300, -20, -9.5, -1, -0.25], [0, 0.75, 1, 2.5, 3], [5.5, 7, 50, 100, 900]])
    powers = np.uint8([126, 128, 130])
    given = {"float8e8m0": g.given(powers, kind="float8e8m0"), "int32": g.given(np.int32([1, 3, 7]))}
    for name, scale in given.items():
        spread = decode(name)[powers] if scale.kind else scale.array
        quotients = values / spread[:, None]
        with g.case(name):
            x = g.given(values)
            g.output(g.node("QuantizeLinear", np.clip(np.rint(quotients), -128, 127).astype("int8"),
                            x, scale, g.given(np.zeros(3, "int8")), axis=0))
            codes = encode("float8e4m3fn", quotients.ravel()).reshape(values.shape)
            y = g.node("QuantizeLinear", codes, x, scale, axis=0, output_dtype=17,
                       kind="float8e4m3fn")
            # As numbers, since 0 has two codes.
            g.output(g.node("Cast", decode("float8e4m3fn")[codes], y, to=1))
            if scale.kind:
                g.output(g.node("DequantizeLinear",
                                decode("float8e4m3fn")[codes] * spread[:, None], y, scale, axis=0,
                                output_dtype=1))
    return g


def products():
    """Small floats times integers. All sums are exact."""
    g = Graph("products", opset=25)
    kinds = {"float8e4m3fn": decode("float8e4m3fn"), "float8e5m2": decode("float8e5m2")}
    for i, kind in enumerate(kinds):
        with g.case(kind):
            whole = np.flatnonzero(np.isin(kinds[kind], np.arange(-8, 9)))
            codes = g.random.choice(whole, (4, 8)).astype("uint8")
            numbers = g.random.integers(-9, 9, (8, 4)).astype("int8")
            small, zero = g.given(codes, kind=kind), g.given(np.uint8(0), kind=kind)
            large, three = g.given(numbers), g.given(np.int8(3))
            half, four = g.given(np.float64(0.5)), g.given(np.float64(4))
            a, b = kinds[kind][codes], numbers - 3.0
            left, right = [small, half, zero], [large, half, three]
            if i:
                a, b, left, right = b, a, right, left
            y = np.clip(np.rint(a @ b / 16) + 3, -128, 127).astype("int8")
            g.output(g.node("QLinearMatMul", y, *left, *right, four, three))
    return g


STATIC = [floats, scales, products]
DYNAMIC = [(untouched, [{"n": n} for n in (7, 1, 8, 61)]),
           (integers, [{"n": 7, "blocks": 4}, {"n": 1, "blocks": 1}, {"n": 10, "blocks": 5}])]
