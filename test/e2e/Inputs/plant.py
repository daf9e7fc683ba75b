#!/usr/bin/python3
# Plants a fault in a kernel of a scheduled module that blocks of threads run, the first that may
# have it.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: plant.py IN.mlir OUT.mlir FAULT

drop-barrier-N   the Nth barrier of the kernel is gone
longer-wait-N    one group of copies more may be under way behind the Nth wait
drop-wait-N      nobody waits for copies there
drop-commit      a group of copies in the loop is not ended
keep-apart       rows of a part in shared memory lie further apart than there is room
forget-part      one operand is never brought into shared memory
some-threads     half of the threads come to the first barrier
store-beyond     results are stored a million elements further on
read-odd         results are stored one byte further on
odd-matrices     lanes name rows of matrices one number further on
swap-matrices    lanes name rows of other matrices than theirs
as-they-lie      matrices that are to be transposed are not
swap-lanes       lanes take each other's rows
swap-neighbours  the first two bytes of a lane's fragment change places
drop-fence-shared, drop-fence-products
                 products of a warpgroup are not told of what is in shared memory, in registers
longer-product-wait
                 one group of products more may be under way behind the wait in the loop
shorter-products the last products are not waited for
lone-product-wait
                 one lane of each warp waits for products
other-swizzle, other-stride, other-leading
                 a matrix is described otherwise than it lies in shared memory
drop-full-wait, drop-empty-wait, drop-release, drop-fence-phases
                 nobody waits for a stage that a warp fills, or for one that the others empty, nobody
                 says that it is through with one, copies are not told of the barriers of the stages
full-parity, empty-parity
                 of another phase than the stage's
fewer-arrivals, fewer-bytes
                 of a phase
other-columns, flat-tensor
                 boxes come from other columns, without a swizzle
"""
import re
import sys


GROUP_FAULTS = {
    "drop-fence-shared": (r"^ *rt\.fence_shared.*$", ""),
    "drop-fence-products": (r"^ *rt\.fence_products.*$", ""),
    "longer-product-wait": (r"rt\.wait_products 1$", "rt.wait_products 2"),
    "shorter-products": (r"rt\.wait_products 0,", "rt.wait_products 1,"),
    "lone-product-wait": (r"^ *rt\.wait_products 1$",
                          "%lane = rt.thread\n%size = arith.constant 32 : index\n"
                          "%inWarp = arith.remui %lane, %size : index\n"
                          "%isLone = arith.cmpi eq, %inWarp, %c0 : index\n"
                          "scf.if %isLone {\nrt.wait_products 1\n}"),
    "other-swizzle": (r"swizzle 128", "swizzle 64"),
    "other-stride": (r"stride 1024", "stride 512"),
    "other-leading": (r"leading 8192", "leading 4096"),
    "drop-full-wait": (r"^ *rt\.wait_phase.*$", ""),
    "drop-empty-wait": (r"^ *rt\.wait_phase.*\n( *rt\.arrive .* expect)", r"\1"),
    "drop-release": (r"^ *rt\.arrive (?!.*expect).*$", ""),
    "drop-fence-phases": (r"^ *rt\.fence_phases.*$", ""),
    "full-parity": (r"(rt\.wait_phase .* parity) %\w+", r"\1 %c1"),
    "empty-parity": (r"(rt\.wait_phase .* parity) %\w+( : .*\n *rt\.arrive .* expect)", r"\1 %c0\2"),
    "fewer-arrivals": (r" count 4 ", " count 3 "),
    "fewer-bytes": (r"expect 16384", "expect 16368"),
    "other-columns": (r"(rt\.copy_tensor %\w+)\[%\w+, ", r"\1[%c8, "),
    "flat-tensor": (r" \{swizzle = 128 : i64\}", ""),
}


def once(pattern, replacement, text):
    made, count = re.subn(pattern, replacement, text, count=1, flags=re.MULTILINE)
    if count != 1:
        sys.exit(f"plant.py: '{pattern}' is not in the kernel")
    return made


def at(number, pattern, replacement, text):
    """Once, at match `number` of the pattern, from 1 on."""
    matches = list(re.finditer(pattern, text, flags=re.MULTILINE))
    if number > len(matches):
        sys.exit(f"plant.py: '{pattern}' is not {number} times in the kernel")
    match = matches[number - 1]
    return text[:match.start()] + replacement(match) + text[match.end():]


def plant(fault, kernel):
    if fault.startswith("drop-barrier-"):
        number = int(fault.rsplit("-", 1)[1])
        parts = re.split(r"^ *rt\.barrier.*$", kernel, flags=re.MULTILINE)
        return "rt.barrier\n".join(parts[:number]) + "\n" + "rt.barrier\n".join(parts[number:])
    if fault == "keep-apart":
        return once(r"arith\.constant 40 : index", "arith.constant 41 : index", kernel)
    if fault.startswith("longer-wait-"):
        return at(int(fault.rsplit("-", 1)[1]), r"rt\.wait_copies (\d+)",
                  lambda wait: f"rt.wait_copies {int(wait[1]) + 1}", kernel)
    if fault.startswith("drop-wait-"):
        return at(int(fault.rsplit("-", 1)[1]), r"^ *rt\.wait_copies.*$", lambda wait: "", kernel)
    if fault == "as-they-lie":
        return once(r"\] transposed : ", "] : ", kernel)
    if fault == "drop-commit":
        head, loop = kernel.split("rt.wait_copies", 1)
        return head + "rt.wait_copies" + once(r"^ *rt\.commit_copies.*$", "", loop)
    if fault == "forget-part":
        copied = re.search(r"rt\.copy_async %\w+\[%\w+\], (%\w+)\[", kernel)
        if copied:
            return re.sub(rf"^ *rt\.copy_async %\w+\[%\w+\], {copied[1]}\[.*$", "", kernel,
                          flags=re.MULTILINE)
        part = re.search(r"(%\w+) = rt\.shared", kernel)[1]
        return once(rf"^ *(?:memref|vector)\.store %\w+, {part}\[.*$", "", kernel)
    if fault in GROUP_FAULTS:
        return once(*GROUP_FAULTS[fault], kernel)
    thread = re.search(r"(%\w+) = rt\.thread", kernel)[1]
    if fault == "some-threads":
        return once(r"^ *rt\.barrier.*$", "%half = arith.constant 64 : index\n"
                    f"%in = arith.cmpi ult, {thread}, %half : index\n"
                    "scf.if %in {\nrt.barrier\n}", kernel)
    store = r"^ *memref\.store (%\w+), (%\w+)\[(%\w+)\] : memref<1099511627776xf32>.*$"
    if fault == "store-beyond":
        return once(store, r"%far = arith.constant 1000000 : index" "\n"
                    r"%place = arith.addi \3, %far : index" "\n"
                    r"memref.store \1, \2[%place] : memref<1099511627776xf32>", kernel)
    if fault == "read-odd":
        return once(r"^ *(%\w+) = rt\.view (%\w+) sizes\(\) strides\(\) : !llvm\.ptr -> "
                    r"memref<1099511627776xf32>.*$",
                    r"%odd = llvm.getelementptr \2[1] : (!llvm.ptr) -> !llvm.ptr, i8" "\n"
                    r"\1 = rt.view %odd sizes() strides() : !llvm.ptr -> memref<1099511627776xf32>",
                    kernel)
    if fault == "odd-matrices":
        return once(r"^( *)(%\w+) = rt\.load_matrices (%\w+)\[(%\w+)\]",
                    r"\1%one = arith.constant 1 : index" "\n"
                    r"\1%odd = arith.addi \4, %one : index" "\n"
                    r"\1\2 = rt.load_matrices \3[%odd]", kernel)
    lane = re.search(rf"(%\w+) = arith\.remui {thread}, ", kernel)[1]
    if fault == "swap-matrices":
        return once(rf"arith\.divui {lane}, %c8\b", f"arith.divui {lane}, %c16", kernel)
    if fault == "swap-neighbours":
        order = ", ".join(map(str, [1, 0, *range(2, 16)]))
        return once(r"^( *)(%\w+) = arith\.bitcast (%\w+) : vector<16xi8> to",
                    rf"\1%swapped = vector.shuffle \3, \3 [{order}] : vector<16xi8>, vector<16xi8>"
                    "\n" r"\1\2 = arith.bitcast %swapped : vector<16xi8> to", kernel)
    if fault == "swap-lanes":
        return once(rf"arith\.divui {lane}, %c4\b", f"arith.remui {lane}, %c4", kernel)
    sys.exit(f"plant.py: no fault is called '{fault}'")


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        text = re.sub(r" loc\((?:[^()]|\([^()]*\))*\)", "", file.read())
    text = re.sub(r"^#loc.*$", "", text, flags=re.MULTILINE)
    for kernel in re.finditer(r"func\.func private @(tile|row|attention|transpose)_", text):
        begin = kernel.start()
        end = text.find("func.func", begin + 1)
        end = len(text) if end < 0 else end
        if "wait" not in sys.argv[3] or "rt.wait" in text[begin:end]:
            break
    text = text[:begin] + plant(sys.argv[3], text[begin:end]) + text[end:]
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(text)


main()
