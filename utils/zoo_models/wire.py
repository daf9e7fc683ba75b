# Writes protobuf's wire format, just enough for ONNX, so that the zoo needs nothing but numpy.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""A message is a list of byte chunks with a known size: weights are never copied until written."""

import struct

import numpy as np

# numpy's type to TensorProto.DataType.
DTYPES = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7,
    "object": 8, "bool": 9, "float16": 10, "float64": 11, "uint32": 12, "uint64": 13,
    "complex64": 14, "complex128": 15,
}
# Types that numpy lacks: of inputs and outputs only.
NARROW_DTYPES = {
    "bfloat16": 16,
    "float8e4m3fn": 17, "float8e4m3fnuz": 18, "float8e5m2": 19, "float8e5m2fnuz": 20, "uint4": 21,
    "int4": 22, "float4e2m1": 23, "float8e8m0": 24, "uint2": 25, "int2": 26,
}


def varint(value):
    """A base-128 varint; negative numbers are written in two's complement, as int64 fields are."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Message:
    """A protobuf message under construction; fields are written in the order of the calls."""

    def __init__(self):
        self.chunks = []
        self.size = 0

    def _append(self, chunk, size=None):
        self.chunks.append(chunk)
        self.size += len(chunk) if size is None else size

    def integer(self, field, value):
        self._append(varint(field << 3) + varint(int(value)))
        return self

    def float32(self, field, value):
        self._append(varint(field << 3 | 5) + struct.pack("<f", value))
        return self

    def data(self, field, value):
        """A string, bytes or (for raw tensor data) a contiguous array."""
        if isinstance(value, str):
            value = value.encode()
        elif isinstance(value, np.ndarray):
            value = memoryview(np.ascontiguousarray(value).reshape(-1)).cast("B")
        self._append(varint(field << 3 | 2) + varint(len(value)))
        self._append(value)
        return self

    def message(self, field, value):
        self._append(varint(field << 3 | 2) + varint(value.size))
        self.chunks += value.chunks
        self.size += value.size
        return self

    def write(self, path):
        with open(path, "wb") as file:
            for chunk in self.chunks:
                file.write(chunk)


def tensor(array, name=""):
    """A TensorProto with raw data; an array of objects holds strings."""
    array = np.asarray(array)
    proto = Message()
    for dim in array.shape:
        proto.integer(1, dim)
    proto.integer(2, DTYPES[str(array.dtype)])
    if name:
        proto.data(8, name)
    if array.dtype == object:
        for item in array.reshape(-1):
            proto.data(6, item)
        return proto
    return proto.data(9, array if array.size else b"")


class Optional:
    """An optional value: an array or a list, or None for nothing."""

    def __init__(self, value=None):
        self.value = value


# Of a held value: what elem_type calls it, and its field in SequenceProto and OptionalProto.
HELD = {list: (3, 5), dict: (4, 6), Optional: (5, 7)}


def value(held):
    """An array as a TensorProto, a list as a SequenceProto, a dict from numbers or strings as a
    MapProto, an Optional as an OptionalProto; a message as it is."""
    if isinstance(held, Message):
        return held
    if isinstance(held, dict):
        keys = list(held)
        proto = Message().integer(2, 8 if keys and isinstance(keys[0], str) else 7)
        for key in keys:
            if isinstance(key, str):
                proto.data(4, key)
            else:
                proto.integer(3, key)
        return proto.message(5, value([np.asarray(item, np.float32 if isinstance(item, float) else None)
                                       for item in held.values()]))
    if isinstance(held, (list, Optional)):
        items = held if isinstance(held, list) else [held.value] if held.value is not None else []
        kind = HELD.get(type(items[0]), (1, 3)) if items else (0, 3)
        proto = Message().integer(2, kind[0])
        for item in items:
            proto.message(kind[1], value(item))
        return proto
    return tensor(held)


def attribute(name, value):
    """An AttributeProto; the kind follows from the Python type."""
    proto = Message().data(1, name)
    if isinstance(value, np.ndarray):
        return proto.message(5, tensor(value)).integer(20, 4)
    if isinstance(value, (bool, int)):
        return proto.integer(3, value).integer(20, 2)
    if isinstance(value, float):
        return proto.float32(2, value).integer(20, 1)
    if isinstance(value, str):
        return proto.data(4, value).integer(20, 3)
    if all(isinstance(item, int) for item in value):
        for item in value:
            proto.integer(8, item)
        return proto.integer(20, 7)
    if all(isinstance(item, str) for item in value):
        for item in value:
            proto.data(9, item)
        return proto.integer(20, 8)
    for item in value:
        proto.float32(7, item)
    return proto.integer(20, 6)


def tensor_type(dtype, dims):
    """A TypeProto of a tensor; a dimension is a number or the name of a symbol. None: any rank."""
    kind = Message().integer(1, (DTYPES | NARROW_DTYPES)[dtype])
    if dims is not None:
        shape = Message()
        for dim in dims:
            entry = Message()
            shape.message(1, entry.data(2, dim) if isinstance(dim, str) else entry.integer(1, dim))
        kind.message(2, shape)
    return Message().message(1, kind)


def sequence_type(item):
    return Message().message(4, Message().message(1, item))


def optional_type(item):
    return Message().message(9, Message().message(1, item))


def map_type(key, item):
    return Message().message(5, Message().integer(1, DTYPES[key]).message(2, item))


def value_info(name, dtype, dims):
    """A ValueInfoProto of a tensor."""
    return typed_info(name, tensor_type(dtype, dims))


def typed_info(name, kind):
    return Message().data(1, name).message(2, kind)
