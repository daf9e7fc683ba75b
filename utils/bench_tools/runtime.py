# liblathe through ctypes, as far as a benchmark needs it.
# Licensed under Apache-2.0 WITH LLVM-exception.
import ctypes
import functools
import os
import subprocess
import sys

MAX_RANK = 16
TENSOR = 1
OWNED = 0x80000000
DTYPES = {"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7,
          "bool": 9, "float16": 10, "float64": 11, "uint32": 12, "uint64": 13}
NAMES = {number: name for name, number in DTYPES.items()}


class Value(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_uint32), ("dtype", ctypes.c_uint32), ("rank", ctypes.c_uint32),
                ("device", ctypes.c_uint32), ("data", ctypes.c_void_p),
                ("dims", ctypes.c_int64 * MAX_RANK), ("strides", ctypes.c_int64 * MAX_RANK)]


class Status(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int32), ("site", ctypes.c_uint32),
                ("args", ctypes.c_int64 * 6), ("message", ctypes.c_char * 968)]


class Dim(ctypes.Structure):
    _fields_ = [("size", ctypes.c_int64), ("symbol", ctypes.c_char_p), ("min", ctypes.c_int64),
                ("max", ctypes.c_int64)]


class Spec(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("kind", ctypes.c_uint32), ("dtype", ctypes.c_uint32),
                ("rank", ctypes.c_uint32), ("alias", ctypes.c_int32),
                ("state", ctypes.c_int32), ("layout", ctypes.c_uint32),
                ("dims", ctypes.POINTER(Dim))]


class Options(ctypes.Structure):
    """lathe_context_options up to its thread count; what is missing is taken as 0."""
    _fields_ = [("size", ctypes.c_uint32), ("threads", ctypes.c_uint32)]


def load(build):
    """The library of a build."""
    library = ctypes.CDLL(os.path.join(build, "lib", "liblathe.so"))
    for name in ("lathe_module_input_count", "lathe_module_output_count"):
        getattr(library, name).restype = ctypes.c_uint32
    library.lathe_module_input_spec.restype = ctypes.POINTER(Spec)
    return library


@functools.cache
def restriction(target, build):
    """What a process needs in its environment so that all libraries see a processor of `target`'s
    kind and no more: for AVX2 on a machine with AVX-512, `avx2_only.c`; nothing for others."""
    if target != "x86-64-v3":
        return {}
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        if " avx512f " not in file.read():
            return {}
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "avx2_only.c")
    library = os.path.join(build, "lib", "bench-avx2-only.so")
    subprocess.run(["clang-22", "-std=c11", "-O2", "-shared", "-fPIC", source, "-o", library], check=True)
    if subprocess.run(["true"], env={"LD_PRELOAD": library}, stderr=subprocess.DEVNULL, check=False).returncode:
        sys.exit("bench: --target x86-64-v3 compares with libraries that see AVX-512, since this "
                 "processor or kernel cannot hide it; run it on a machine without AVX-512")
    return {"LD_PRELOAD": library}


class Lathe:
    """One artifact on one context."""

    def __init__(self, library, path, threads):
        self.library = library
        self.status = Status()
        self.module, self.context = ctypes.c_void_p(), ctypes.c_void_p()
        self._check(self.library.lathe_module_open(path.encode(), None, ctypes.byref(self.module),
                                                   ctypes.byref(self.status)))
        options = Options(ctypes.sizeof(Options), threads)
        self._check(self.library.lathe_context_create(
            self.module, ctypes.byref(options), ctypes.byref(self.context),
            ctypes.byref(self.status)))
        self.inputs = self.outputs = None
        # A call that is refused: what ctypes does for the first call of a function is no run.
        self.library.lathe_context_run(None, 0, None, 0, None, 0, ctypes.byref(self.status))

    def _check(self, code):
        if code:
            raise RuntimeError(self.status.message.decode(errors="replace"))

    def input_names(self):
        count = self.library.lathe_module_input_count(self.module, 0)
        return [self.library.lathe_module_input_spec(self.module, 0, i).contents.name.decode()
                for i in range(count)]

    def borrow(self, arrays):
        """Takes the inputs of the runs to come; outputs are allocated by the first one."""
        self.arrays = arrays
        self.inputs = (Value * len(arrays))()
        for value, array in zip(self.inputs, arrays):
            dims = (ctypes.c_int64 * MAX_RANK)(*array.shape)
            self._check(self.library.lathe_value_borrow(
                ctypes.byref(value), DTYPES[str(array.dtype)], array.ndim, dims,
                ctypes.c_void_p(array.ctypes.data), ctypes.byref(self.status)))
        self.outputs = (Value * self.library.lathe_module_output_count(self.module, 0))()

    def bind(self, arrays):
        """Takes the inputs, runs once, and keeps memory for the outputs of that run's shapes."""
        self.borrow(arrays)
        self.run_once()
        for value in self.outputs:
            if value.kind == TENSOR:
                value.device &= ~OWNED & 0xFFFFFFFF  # kept for all runs; never freed

    def run_once(self):
        for value in self.outputs:
            if value.kind != TENSOR:  # made anew by each run
                self.library.lathe_value_release(ctypes.byref(value))
        self._check(self.library.lathe_context_run(
            self.context, 0, self.inputs, len(self.inputs), self.outputs, len(self.outputs),
            ctypes.byref(self.status)))

    def caller(self):
        """A function without arguments for the inner loop; `bind` has run once before."""
        # Arguments that are ctypes already, and no structures: converting those at every call takes
        # longer than a small run, and the other side does not pay for it.
        kinds = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p,
                 ctypes.c_uint32, ctypes.c_void_p]
        values = [self.context.value, 0, ctypes.addressof(self.inputs), len(self.inputs),
                  ctypes.addressof(self.outputs), len(self.outputs), ctypes.addressof(self.status)]
        run = ctypes.CFUNCTYPE(ctypes.c_int32, *kinds)(("lathe_context_run", self.library))
        call = functools.partial(run, *[kind(value) for kind, value in zip(kinds, values)])
        # Strings, sequences and maps are made anew by each run, which takes no memory for them.
        made = [i for i, value in enumerate(self.outputs) if value.kind != TENSOR]
        if not made:
            self._check(call())
            return call
        release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(("lathe_value_release", self.library))
        size = ctypes.sizeof(Value)
        places = [ctypes.c_void_p(ctypes.addressof(self.outputs) + i * size) for i in made]

        def call_anew():
            for place in places:
                release(place)
            return call()
        self._check(call_anew())
        return call_anew

    def results(self, numpy):
        arrays = []
        for value in self.outputs:
            shape = tuple(value.dims[: value.rank])
            dtype = numpy.dtype(NAMES.get(value.dtype, "uint8"))
            count = int(numpy.prod(shape, dtype=numpy.int64))
            raw = ctypes.string_at(value.data, count * dtype.itemsize) if count else b""
            arrays.append(numpy.frombuffer(raw, dtype).reshape(shape))
        return arrays
