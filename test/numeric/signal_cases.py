# Fourier transforms of every kind of size.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""As operator_cases.py."""
import numpy as np

from tracer import Graph


def transformed(x, axis, inverse, onesided, length):
    """What DFT gives for x [..., 1 or 2]; the axis counts the last dimension."""
    value = x[..., 0] + 1j * (x[..., 1] if x.shape[-1] == 2 else 0)
    axis = axis % x.ndim
    if inverse and onesided:
        return np.fft.irfft(value, length, axis)[..., None]
    if onesided:
        value = np.fft.rfft(value.real, length, axis)
    else:
        value = (np.fft.ifft if inverse else np.fft.fft)(value, length, axis)
    return np.stack([value.real, value.imag], -1)


def dft(g, shape, axis, inverse=0, onesided=0, length=None, known=True, sized=True):
    with g.case(f"dft_{'_'.join(map(str, shape))}_{axis}_{inverse}{onesided}_{length}"):
        x = g.input(*shape)
        if inverse and onesided and shape[-1] == 2:
            # Numbers that no real signal has there are ignored.
            x.array[...] = np.abs(x.array)
        result = transformed(x.array, axis, inverse, onesided, length)
        size = "" if length is None else g.ints(length) if sized else g.given(np.int64(length), ())
        where = g.ints(axis) if known else g.given(np.int64(axis), ())
        dims = [f"r{len(g.outputs)}_{i}" for i in range(result.ndim)]
        g.output(g.node("DFT", result, x, size, where, inverse=inverse, onesided=onesided), dims)


def sizes(**values):
    """Every radix, several of them, large primes; the axis in front of others; batches of 0 and 1."""
    g = Graph("fourier_sizes", opset=20, **values)
    for size in (1, 3, 4, 8, 13, 28, 30, 37, 66, 67):
        for inverse in (0, 1):
            dft(g, ("n", size, 2), 1, inverse)
        dft(g, ("n", size, 1), -2, size % 2)
    for size in (10, 67):
        for parts in (1, 2):
            dft(g, (2, size, "n", 3, parts), 1, size % 2)
            dft(g, (size, 2, parts), 0)
    return g


def forms(**values):
    """Halves of a spectrum, cut and padded signals, sizes and axes that only the run knows."""
    g = Graph("fourier_forms", opset=20, **values)
    for size in (2, 9, 10, 67):
        dft(g, ("n", size, 1), 1, 0, 1)
        dft(g, ("n", size, 2), 1, 1, 1)
        for length in (9, 10):
            for inverse in (0, 1):
                for onesided in (0, 1):
                    dft(g, (size, "n", 2 if inverse else 1), 0, inverse, onesided, length)
    dft(g, (2, "n", 2), 1)
    dft(g, (2, "n", 2), 1, 1)
    dft(g, (2, "n", 1), 1, 0, 1, 12)
    for length in (1, 4, 12, 74):
        dft(g, (2, 9, "n", 2), 1, 1, 0, length, sized=False)
        dft(g, (2, 9, "n", 2), 1, 1, 1, length, sized=False)
        dft(g, (2, 9, "n", 1), 1, 0, 1, length, sized=False)
    for axis in (0, 2, -3):
        dft(g, (2, 3, 5, 2), axis, axis % 2, known=False)
        dft(g, (2, "n", 5, 1), axis, 0, axis % 2, known=False)
    return g


def frames(**values):
    """STFT with and without a window, halved and whole, of sizes with factors small and large."""
    g = Graph("fourier_frames", opset=17, **values)
    for size, step in ((20, 20), (67, 11)):
        for onesided in (0, 1):
            for windowed in (False, True):
                x = g.input("n", 100, 1)
                inputs = [g.ints(step)]
                window = np.hanning(size).astype("float32").astype("float64")
                inputs.append(g.weight(values=window) if windowed else "")
                if not windowed:
                    inputs.append(g.ints(size))
                count = (100 - size) // step + 1
                cut = np.stack([x.array[:, i * step:i * step + size, 0] for i in range(count)], 1)
                value = np.fft.fft(cut * window if windowed else cut)
                if onesided:
                    value = value[..., :size // 2 + 1]
                g.output(g.node("STFT", np.stack([value.real, value.imag], -1), x, *inputs,
                                onesided=onesided),
                         [f"s{len(g.outputs)}_{i}" for i in range(4)])
    return g


STATIC = []
DYNAMIC = [(sizes, [{"n": 3}, {"n": 1}, {"n": 0}]), (forms, [{"n": 2}, {"n": 5}]),
           (frames, [{"n": 1}, {"n": 3}])]
