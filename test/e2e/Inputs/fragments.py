# Multiplies one pair of small matrices by each instruction of a matrix unit, on its emulated GPU.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: fragments.py LATHE FOLDER [--fault]

A kernel, written by hand, has each lane load its registers, multiply and store its sums. Which elements
those are is said here once more, from the vendors' documents. With --fault two elements of one lane
change places, and every instruction must give something else then.
"""
import os
import subprocess
import sys

import numpy as np

KERNEL = """
module attributes {{rt.flops = 1 : i64, rt.target = "{target}"}} {{
  func.func @run(%call: !llvm.ptr) -> i32 {{
    %ok = arith.constant 0 : i32
    %one = arith.constant 1 : index
    %a = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
    %b = rt.input %call[1] : !llvm.ptr -> !llvm.ptr
    %y = rt.output %call[0] : !llvm.ptr -> !llvm.ptr
    rt.dispatch @tile_fragments(%call) buffers(%a, %b, %y) sizes() count %one {{bytes = 1 : i64, flops = 1 : i64, grain = 1 : i64}} : !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr
    return %ok : i32
  }}
  func.func @plan(%call: !llvm.ptr, %plan: !llvm.ptr) -> i32 {{
    %ok = arith.constant 0 : i32
    %zero = arith.constant 0 : index
    %size = arith.constant {lanes_sums} : index
    rt.plan_output %call[0] dims(%size) {{unknown = array<i64>}} : !llvm.ptr
    rt.plan_arena %plan, %zero : !llvm.ptr
    return %ok : i32
  }}
  func.func private @tile_fragments(%call: !llvm.ptr, %left: !llvm.ptr, %right: !llvm.ptr, %out: !llvm.ptr, %begin: index, %end: index) attributes {{rt.block = {lanes} : i32}} {{
    %a = rt.view %left sizes() strides() : !llvm.ptr -> memref<1099511627776xi8>
    %b = rt.view %right sizes() strides() : !llvm.ptr -> memref<1099511627776xi8>
    %y = rt.view %out sizes() strides() : !llvm.ptr -> memref<1099511627776x{sum}>
    %thread = rt.thread
    %ca = arith.constant {a_bytes} : index
    %cb = arith.constant {b_bytes} : index
    %cy = arith.constant {sums} : index
    %ia = arith.muli %thread, %ca : index
    %ib = arith.muli %thread, %cb : index
    %iy = arith.muli %thread, %cy : index
    %part = rt.shared : memref<{a_all}xi8>
    %own = vector.load %a[%ia] : memref<1099511627776xi8>, vector<{a_bytes}xi8>
    vector.store %own, %part[%ia] : memref<{a_all}xi8>, vector<{a_bytes}xi8>
    rt.barrier
    %va = vector.load %part[%ia] : memref<{a_all}xi8>, vector<{a_bytes}xi8>
    %vb = vector.load %b[%ib] : memref<1099511627776xi8>, vector<{b_bytes}xi8>
    %ra = vector.bitcast %va : vector<{a_bytes}xi8> to vector<{a_count}x{a_type}>
    %rb = vector.bitcast %vb : vector<{b_bytes}xi8> to vector<{b_count}x{b_type}>
    %zero = arith.constant dense<0{point}> : vector<{sums}x{sum}>
    %made = rt.multiply_matrices "{unit}" %ra, %rb, %zero {signs} : vector<{a_count}x{a_type}>, vector<{b_count}x{b_type}>, vector<{sums}x{sum}>
    vector.store %made, %y[%iy] : memref<1099511627776x{sum}>, vector<{sums}x{sum}>
    return
  }}
  func.func private @main(tensor<{a_all}xi8> {{graph.dims = [""], graph.name = "a"}}, tensor<{b_all}xi8> {{graph.dims = [""], graph.name = "b"}}) -> (tensor<{lanes_sums}x{sum}> {{graph.dims = [""], graph.name = "y"}}) attributes {{graph.entry = "run"}}
}}
"""


# Row and k of element i of a lane; for the right operand column and k; row and column of a sum.
def mma(size):
    """Elements of `size` bytes: four to a register of four bytes, two, one."""
    per = 4 // size
    return (lambda lane, i: (lane // 4 + 8 * (i // per % 2),
                             lane % 4 * per + i % per + 4 * per * (i // (2 * per))),
            lambda lane, i: (lane // 4, lane % 4 * per + i % per + 4 * per * (i // per)),
            lambda lane, i: (lane // 4 + 8 * (i // 2), lane % 4 * 2 + i % 2))


def blocks(count, sums):
    place = lambda lane, i: (lane % 16, lane // 16 * count + i)
    return place, place, lambda lane, i: (lane // 16 * sums + i, lane % 16)


RDNA3 = (lambda lane, i: (lane % 16, i), lambda lane, i: (lane % 16, i),
         lambda lane, i: (2 * i + lane // 16, lane % 16))

# unit, device, elements of both operands, lanes, columns, depth, of a lane: left, right, sums
UNITS = (
    ("mma.sync", "nvidia:sm_80", "f16", "f16", 32, 8, 16, 8, 4, 4, mma(2)),
    ("mma.sync", "nvidia:sm_80", "bf16", "bf16", 32, 8, 16, 8, 4, 4, mma(2)),
    ("mma.sync.tf32", "nvidia:sm_80", "f32", "f32", 32, 8, 8, 4, 2, 4, mma(4)),
    ("mma.sync.i8", "nvidia:sm_80", "i8", "i8", 32, 8, 32, 16, 8, 4, mma(1)),
    ("mma.sync.i8", "nvidia:sm_80", "u8", "i8", 32, 8, 32, 16, 8, 4, mma(1)),
    ("mma.sync.i8", "nvidia:sm_80", "i8", "u8", 32, 8, 32, 16, 8, 4, mma(1)),
    ("mma.sync.i8", "nvidia:sm_80", "u8", "u8", 32, 8, 32, 16, 8, 4, mma(1)),
    ("mma.sync.f8", "nvidia:sm_120", "f8E4M3FN", "f8E4M3FN", 32, 8, 32, 16, 8, 4, mma(1)),
    ("mma.sync.f8", "nvidia:sm_120", "f8E4M3FN", "f8E5M2", 32, 8, 32, 16, 8, 4, mma(1)),
    ("mma.sync.f8", "nvidia:sm_120", "f8E5M2", "f8E4M3FN", 32, 8, 32, 16, 8, 4, mma(1)),
    ("mfma", "amd:gfx90a", "f16", "f16", 64, 16, 16, 4, 4, 4, blocks(4, 4)),
    ("mfma.i8", "amd:gfx90a", "i8", "i8", 64, 16, 16, 4, 4, 4, blocks(4, 4)),
    ("mfma.i8.gfx942", "amd:gfx942", "i8", "i8", 64, 16, 32, 8, 8, 4, blocks(8, 4)),
    ("mfma.xf32", "amd:gfx942", "f32", "f32", 64, 16, 8, 2, 2, 4, blocks(2, 4)),
    ("wmma.i8", "amd:gfx1100", "u8", "i8", 32, 16, 16, 16, 16, 8, RDNA3),
    ("wmma.gfx12", "amd:gfx1201", "bf16", "bf16", 32, 16, 16, 8, 8, 8, blocks(8, 8)),
    ("wmma.gfx12.i8", "amd:gfx1201", "i8", "u8", 32, 16, 16, 8, 8, 8, blocks(8, 8)),
)


def decode(kind, byte):
    """Of eight bits: 4 and 3, or 5 and 2, of exponent and mantissa."""
    width = 3 if "E4M3" in kind else 2
    bias = 7 if width == 3 else 15
    exponent, mantissa = byte >> width & (1 << 7 - width) - 1, byte & (1 << width) - 1
    value = (mantissa / 2**width * 2.0**(1 - bias) if exponent == 0 else
             (1 + mantissa / 2**width) * 2.0**(exponent - bias))
    return -value if byte & 128 else value


def choose(random, kind, shape):
    """Numbers that sums of products hold exactly, and their bytes, one number in a row."""
    if kind.startswith("f8"):
        # Exponents near that of 1, and what is below all normal numbers of e4m3.
        allowed = np.array([b for b in range(256) if decode(kind, b) and 2.0**-6 <= abs(decode(kind, b)) <= 4]
                           + ([1, 129] if "E4M3" in kind else [0]), np.uint8)
        chosen = random.choice(allowed, shape)
        return np.vectorize(lambda b: decode(kind, int(b)))(chosen), chosen[..., None]
    low, high = {"i8": (-128, 128), "u8": (0, 256)}.get(kind, (-8, 9))
    numbers = random.integers(low, high, shape)
    if kind == "bf16":
        raw = (numbers.astype("<f4").view(np.uint32) >> 16).astype("<u2")
    else:
        raw = numbers.astype({"f16": "<f2", "f32": "<f4", "i8": "i1", "u8": "u1"}[kind])
    return numbers, raw[..., None].view(np.uint8)


def fill(place, raw, lanes, count, fault):
    registers = np.empty((lanes, count, raw.shape[-1]), np.uint8)
    for lane in range(lanes):
        for i in range(count):
            registers[lane, i] = raw[place(lane, i)]
    if fault:
        registers[lanes - 11, [0, 1]] = registers[lanes - 11, [1, 0]]
    return registers.reshape(-1).view(np.int8)


def run(lathe, folder, fault, unit, target, left, right, lanes, columns, depth, a_count, b_count,
        sums, places):
    random = np.random.default_rng(3)
    a, a_raw = choose(random, left, (16, depth))
    b, b_raw = choose(random, right, (columns, depth))
    exact = np.array(a, np.float64) @ np.array(b, np.float64).T
    sum_type = "i32" if left in ("i8", "u8") else "f32"
    sizes = [raw.shape[-1] for raw in (a_raw, b_raw)]
    given = {"a": fill(places[0], a_raw, lanes, a_count, fault),
             "b": fill(places[1], b_raw, lanes, b_count, False)}
    signs = ", ".join(name for name, kind in (("left_unsigned", left), ("right_unsigned", right))
                      if kind == "u8")
    with open(os.path.join(folder, "kernel.mlir"), "w") as file:
        file.write(KERNEL.format(
            target=target, unit=unit, lanes=lanes, sums=sums, lanes_sums=lanes * sums, sum=sum_type,
            point=".0" if sum_type == "f32" else "", a_count=a_count, b_count=b_count,
            a_bytes=a_count * sizes[0], b_bytes=b_count * sizes[1], a_all=given["a"].size,
            b_all=given["b"].size, a_type=left.replace("u8", "i8"), b_type=right.replace("u8", "i8"),
            signs="{" + signs + "}"))
    command = [lathe, "run", os.path.join(folder, "kernel.mlir"), "--device",
               "emulator:" + target.split(":")[1], "-o", os.path.join(folder, "out")]
    for name, registers in given.items():
        np.save(os.path.join(folder, name + ".npy"), registers)
        command += ["-i", f"{name}={os.path.join(folder, name)}.npy"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    stored = np.load(os.path.join(folder, "out", "y.npy")).reshape(lanes, sums)
    made = np.empty((16, columns))
    for lane in range(lanes):
        for i in range(sums):
            made[places[2](lane, i)] = stored[lane, i]
    # Sums of e4m3 and e5m2 need more bits than f32 has.
    same = np.allclose(made, exact, 1e-6, 1e-6)
    print(f"{unit} {left} {right}: {'right' if same else 'wrong'}")
    return same


def main(lathe, folder, fault=""):
    results = [run(lathe, folder, bool(fault), *unit) for unit in UNITS]
    print(f"{sum(results)} of {len(results)} are right")


main(*sys.argv[1:])
