# Damages an artifact in one place, for the tests of what a bad one gets.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: alter.py IN OUT SECTION      flips a bit in the middle of an ELF section
       alter.py IN OUT header       flips a bit in the ELF header
       alter.py IN OUT cut          keeps the first half"""
import struct
import sys


def section(data, wanted):
    """Offset and size of a section of a 64-bit little-endian ELF file."""
    table, = struct.unpack_from("<Q", data, 0x28)
    entry_size, count, names = struct.unpack_from("<3H", data, 0x3A)
    entries = [struct.unpack_from("<IIQQQQ", data, table + i * entry_size) for i in range(count)]
    strings = entries[names][4]
    for name, _, _, _, offset, size in entries:
        start = strings + name
        if data[start:data.index(b"\0", start)].decode() == wanted:
            return offset, size
    sys.exit(f"alter: no section {wanted}")


def main(source, target, where):
    with open(source, "rb") as file:
        data = bytearray(file.read())
    if where == "cut":
        del data[len(data) // 2:]
    elif where == "header":
        data[0x30] ^= 1  # e_flags
    else:
        offset, size = section(data, where)
        data[offset + size // 2] ^= 1
    with open(target, "wb") as file:
        file.write(data)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
