# Lays operands of wgmma out as PTX describes it, and compares what products.mlir gives with numpy.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: check_products.py make LINE TURNS X.npy      writes the input, prints an edit for sed
       check_products.py check LINE TURNS X.npy Y.npy

LINE is how many bytes a line of the operands has: 128, 64 or 32, with a swizzle, or 16 without.
TURNS says for the left operand and the right one what lies together: d, what is added up, or a, what
is across it (rows, columns).
"""
import sys

import numpy as np

DEPTH, ACROSS = 32, 64


def layout(line, turn):
    """Where number [across, depth] is, the offsets of the descriptor, and the way to depth 16."""
    numbers = line // 2
    across, depth = np.meshgrid(np.arange(ACROSS), np.arange(DEPTH), indexing="ij")
    along, lines = (across, depth) if turn == "a" else (depth, across)
    extent = DEPTH if turn == "a" else ACROSS
    group, piece = 8 * numbers, extent * numbers
    place = lines * numbers + along % numbers + along // numbers * piece
    # Eight lines follow each other, then the next eight, then what is longer than a line.
    leading, stride = 2 * piece, 2 * group
    step = (2 * group if turn == "a" else 16 if numbers > 16 else 16 // numbers * piece) // 8
    if line == 16 and turn == "a":
        leading, stride = stride, leading
    address = 2 * place
    places = {128: 7, 64: 3, 32: 1, 16: 0}[line]
    return (address ^ ((address >> 7 & places) << 4)) // 2, leading, stride, step


def operands(line, turns, x):
    return [x[at:at + 4096][layout(line, turn)[0]] for at, turn in zip((0, 4096), turns)]


def lanes(thread):
    return thread // 32 * 16 + thread % 32 // 4, thread % 4 * 2


def main(what, line, turns, path, *result):
    line = int(line)
    if what == "make":
        x = np.random.default_rng(line).integers(-4, 5, 9216).astype(np.float16)
        np.save(path, x)
        for name, turn in zip(("left", "right"), turns):
            _, leading, stride, step = layout(line, turn)
            print(f"s/\\(%{name} = .*\\) leading .* swizzle [0-9]*/\\1 leading {leading} "
                  f"stride {stride} swizzle {line if line > 16 else 0}/")
            print(f"s/%{name}_step = arith.constant [0-9]*/%{name}_step = arith.constant {step}/")
        # The right operand of the template lies across, the left one does not.
        if turns[0] == "a":
            print("s/multiply_shared %left\\(_on\\)*,/multiply_shared %left\\1 transposed,/")
        if turns[1] == "d":
            print("s/%right\\(_on\\)* transposed/%right\\1/")
        return
    x = np.load(path)
    left, right = (part.astype(np.float64) for part in operands(line, turns, x))
    sums = left @ right.T
    registers, found = x[8192:].reshape(128, 8), np.zeros((ACROSS, ACROSS))
    third, y = np.zeros((ACROSS, 16)), np.load(result[0]).reshape(128, 32)
    for thread in range(128):
        row, column = lanes(thread)
        for i in range(8):
            third[row + i // 2 % 2 * 8, column + i % 2 + i // 4 * 8] = registers[thread, i]
        for i in range(32):
            found[row + i // 2 % 2 * 8, column + i % 2 + i // 4 * 8] = y[thread, i]
    np.testing.assert_array_equal(found, sums + third @ right[:, :16].T)


if len(sys.argv) < 5:
    sys.exit(__doc__)
main(*sys.argv[1:])
