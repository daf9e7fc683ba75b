# Models as Python functions over NumPy arrays. Licensed under Apache-2.0 WITH LLVM-exception.
"""Compiles ONNX models to one file, and runs such files.

    model = lathe.compile("model.onnx")           # needs the compiler's executable
    model = lathe.load("model.lathe")             # needs nothing else
    scores = model(pixels)                        # NumPy in, NumPy out

Arguments are NumPy arrays, anything with __dlpack__ (a PyTorch tensor on the CPU), or lists and
numbers. Arrays that are contiguous and of the model's type are read where they are; results lie in
memory of their own, and are handed on by DLPack without a copy. The interpreter is free while a model
runs. Of types that NumPy lacks (bf16, float8, those below a byte) the bits travel in integers.
Sequences are lists, maps dicts, and an optional is its value or None. With device="cuda:0" or "hip:0" a
model runs on that GPU; arguments and results are the same arrays in the memory of the host.
"""
import json
import os
import shutil
import subprocess
import tempfile

import numpy as np

from . import _lathe

__version__ = _lathe.version
__all__ = ["compile", "load", "Context", "Error", "Model", "TensorInfo"]


class Error(RuntimeError):
    """What the runtime refused: a message, the number `code` and the word `name`, such as 'shape'."""

    def __init__(self, message, code=0, name=""):
        super().__init__(message)
        self.code = code
        self.name = name


_lathe.set_error(Error)


# What ml_dtypes calls the types that NumPy lacks; it lays them out as we do, an element each.
_ML_DTYPES = {"bf16": "bfloat16", "f8e4m3fn": "float8_e4m3fn", "f8e4m3fnuz": "float8_e4m3fnuz",
              "f8e5m2": "float8_e5m2", "f8e5m2fnuz": "float8_e5m2fnuz", "f8e8m0": "float8_e8m0fnu",
              "f4e2m1": "float4_e2m1fn", "i4": "int4", "u4": "uint4", "i2": "int2", "u2": "uint2"}


class TensorInfo:
    """What a model takes or returns. In `shape` a number is fixed, a word is a symbol, None is free
    (in place of the shape: so is the rank); `bounds` holds the least and largest size of each
    dimension. `kind` is "tensor", or "sequence", "optional" or "map", and then `items` says what it
    holds (of a map: keys and values)."""

    def __init__(self, spec, name=None):
        (self.name, self.dtype, numpy_name, dims, self.is_state, self._text, self.kind, items) = spec
        self.name = name or self.name
        self.numpy_dtype = np.dtype(numpy_name) if numpy_name else None
        self.items = [TensorInfo(item, self.name) for item in items]
        self.shape = self.bounds = None
        if dims is not None:
            self.shape = tuple(symbol if size is None else size for size, symbol, _, _ in dims)
            self.bounds = tuple((least, most) if size is None else (size, size)
                                for size, _, least, most in dims)

    def __repr__(self):
        return f"{self.name}: {self._text}"


def _to_value(value, info):
    """`value` as the runtime takes it: a contiguous array, or a list of what a value holds."""
    if info.kind == "tensor":
        return _to_array(value, info)
    if info.kind == "optional":
        held = [] if value is None else [value]
    elif info.kind == "map":
        if not hasattr(value, "keys"):
            raise TypeError(f"input '{info.name}': {type(value).__name__} is given where the model "
                            "takes a map; give a dict")
        held = [list(value.keys()), list(value.values())]
    elif info.kind == "sequence" and isinstance(value, (list, tuple)):
        held = value
    else:
        raise TypeError(f"input '{info.name}': {type(value).__name__} is given where the model takes "
                        f"a {info.kind}; give a list")
    if held and not info.items:
        raise TypeError(f"input '{info.name}': the model does not say what it holds")
    if info.kind == "map":
        return [_to_value(part, item) for part, item in zip(held, info.items)]
    return [_to_value(item, info.items[0]) for item in held]


# Kinds of NumPy's types whose numbers a kind of the model's holds.
_HELD = {"b": "biu", "i": "biu", "u": "biu", "f": "biuf", "c": "biufc"}


def _from_numbers(value, info):
    """Lists and numbers have no type and become what the model takes, where they keep their values."""
    wanted = info.numpy_dtype
    if info.dtype in _ML_DTYPES and info.dtype not in ("i4", "u4", "i2", "u2"):
        raise TypeError(f"input '{info.name}': {type(value).__name__} is given where the model takes "
                        f"{info.dtype}; give an array of {wanted} that holds the bits")
    try:
        numbers = np.asarray(value)
        array = np.asarray(value, dtype=wanted)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"input '{info.name}': what is given becomes no {wanted}: {error}") from error
    if numbers.size and (numbers.dtype.kind not in _HELD[wanted.kind] or
                         wanted.kind in "biu" and not np.array_equal(numbers, array)):
        raise TypeError(f"input '{info.name}': {type(value).__name__} with {numbers.dtype} is given where "
                        f"the model takes {wanted} ({info.dtype}), which does not hold all its values")
    return array


def _to_array(value, info):
    """`value` as a contiguous array of the type that `info` asks for."""
    if info.dtype == "string":
        array = np.asarray(value, dtype=object)
        texts = np.empty(array.shape, dtype=object)
        for index in np.ndindex(array.shape):
            text = array[index]
            texts[index] = text if isinstance(text, bytes) else str(text).encode(
                "utf-8", "surrogateescape")
        return texts
    if isinstance(value, np.ndarray) or isinstance(value, np.generic):
        array = np.asarray(value)
    elif hasattr(value, "__dlpack__"):
        array = np.from_dlpack(value)
    else:
        array = _from_numbers(value, info)
    if array.dtype.name == _ML_DTYPES.get(info.dtype):
        # Its integers leave the upper bits of a byte open.
        narrow = info.dtype in ("i4", "u4", "i2", "u2")
        array = array.astype(info.numpy_dtype) if narrow else array.view(info.numpy_dtype)
    if array.dtype != info.numpy_dtype:
        raise TypeError(f"input '{info.name}': {array.dtype} is given where the model takes "
                        f"{info.numpy_dtype} ({info.dtype})")
    # ascontiguousarray would make a scalar one-dimensional.
    return array if array.flags.c_contiguous and array.flags.aligned else array.copy(order="C")


class _Callable:
    """What a model and a context have in common: arguments in, results out."""

    inputs: list
    outputs: list

    def _arguments(self, args, kwargs):
        """Arguments by position and name in the model's order; states that are not given are None."""
        names = [info.name for info in self.inputs]
        free = [info for info in self.inputs if not info.is_state]
        if len(args) > len(free):
            raise TypeError(f"{len(args)} arguments are given where the model takes {len(free)}")
        values = {info.name: value for info, value in zip(free, args)}
        for name, value in kwargs.items():
            if name not in names:
                raise TypeError(f"the model has no input '{name}'; it takes {', '.join(names)}")
            if name in values:
                raise TypeError(f"input '{name}' is given twice")
            values[name] = value
        missing = [info.name for info in free if info.name not in values]
        if missing:
            raise TypeError(f"input '{missing[0]}' is missing")
        return [_to_value(values[info.name], info) if info.name in values else None
                for info in self.inputs]

    def run(self, inputs):
        """Takes a dict of inputs by name and returns a dict of outputs (without states)."""
        results = self._run(self._arguments((), dict(inputs)))
        return {info.name: result for info, result in zip(self.outputs, results)
                if not info.is_state}

    def __call__(self, *args, **kwargs):
        """Takes inputs by position or name; returns the output, or a tuple of several."""
        results = self._run(self._arguments(args, kwargs))
        results = [result for info, result in zip(self.outputs, results) if not info.is_state]
        return results[0] if len(results) == 1 else tuple(results)


def _check_threads(threads):
    if threads is not None and threads < 0:
        raise ValueError(f"{threads} threads are asked for; give 1 or more, or None for one per processor")


def _check_device(device):
    """The name of a device; None is the processor."""
    if device is None:
        return "cpu"
    if not isinstance(device, str):
        raise TypeError(f"a device is named by a text such as 'cuda:0', not by {type(device).__name__}")
    if not device or "\0" in device:
        raise ValueError(f"{device!r} names no device; give 'cuda:0' or 'hip:0', or None for the processor")
    return device


class Context(_Callable):
    """One caller's state on a model: its memory, and the model's states (caches) between calls. For
    one thread at a time; made by Model.context()."""

    def __init__(self, model, threads=None, dynamic_limit=0, _pool=None):
        self._model = model
        self._handle = _lathe.Context(model._module, _pool, threads or 0, dynamic_limit)
        self._entry = model._entry

    @property
    def inputs(self):
        return self._model.inputs

    @property
    def outputs(self):
        return self._model.outputs

    @property
    def threads(self):
        return self._handle.threads()

    def _run(self, arrays):
        return self._handle.run(self._entry, arrays)

    def warm_up(self, *args, **kwargs):
        """Makes later calls with such inputs as fast as they get; results are dropped."""
        self._handle.warm_up(self._entry, self._arguments(args, kwargs))

    def memory(self, *args, **kwargs):
        """Bytes that a call with such inputs takes, without running: arena, outputs, states, peak."""
        return self._handle.memory(self._entry, self._arguments(args, kwargs))

    def statistics(self):
        """Numbers of runs and failures, and the time of each stage."""
        return self._handle.statistics()

    def set_timeout(self, seconds):
        """Calls that go on past so many seconds from now (0 or less: all) raise Error ('deadline');
        None: no limit."""
        self._handle.set_timeout(seconds)

    def cancel(self):
        """Makes the call in progress and later ones raise Error ('cancelled'). Any thread."""
        self._handle.cancel()

    def resume(self):
        """Ends what cancel() began."""
        self._handle.resume()

    def reset(self):
        """All states as before the first call."""
        self._handle.reset()


class Model(_Callable):
    """A loaded model. Any number of threads may call it at once: each call borrows a context, and all
    contexts share one pool of threads. A model with states is called through context(). `device`: where
    it runs, "cpu" or the name of a GPU."""

    def __init__(self, path, entry="run", threads=None, verify=False, device=None):
        name = os.fsencode(path)
        if b"\0" in name:
            raise ValueError(f"a path has no zero in it: {path!r}")
        _check_threads(threads)
        self.device = _check_device(device)
        self._module = _lathe.Module(name, "" if self.device == "cpu" else self.device)
        if verify:
            self._module.verify()
        self.entries = self._module.entries()
        if entry not in self.entries:
            raise ValueError(f"the model has no entry '{entry}'; it has {', '.join(self.entries)}")
        self._entry = self.entries.index(entry)
        self.inputs = [TensorInfo(spec) for spec in self._module.inputs(self._entry)]
        self.outputs = [TensorInfo(spec) for spec in self._module.outputs(self._entry)]
        self._pool = None if threads == 1 else _lathe.Pool(threads or 0)
        self._free = []

    def __repr__(self):
        return (f"<lathe.Model ({', '.join(map(repr, self.inputs))}) -> "
                f"({', '.join(map(repr, self.outputs))})>")

    @property
    def manifest(self):
        """Where the model came from, and what it consists of."""
        return json.loads(self._module.manifest() or "{}")

    def context(self, threads=None, dynamic_limit=0):
        """A context of its own. `threads`: its own threads instead of the model's shared ones;
        `dynamic_limit`: bytes that a call may take for values whose size depends on data."""
        _check_threads(threads)
        pool = self._pool if threads is None else None
        own = threads if threads is not None else (1 if self._pool is None else 0)
        return Context(self, own, dynamic_limit, pool)

    def _run(self, arrays):
        if any(info.is_state for info in self.inputs):
            raise ValueError("the model keeps states between calls; call what context() returns")
        try:
            context = self._free.pop()  # one step of the interpreter: no two threads get the same
        except IndexError:
            context = self.context()
        try:
            return context._run(arrays)
        finally:
            self._free.append(context)


def load(path, entry="run", threads=None, verify=False, device=None):
    """Opens an artifact. `threads`: how many work on a call (default: one per processor);
    `verify`: also check the digest of the weights, which reads them all; `device`: "cuda:0" or
    "hip:0" and the like, for which the artifact must hold code (default: the processor)."""
    return Model(path, entry, threads, verify, device)


def _find_compiler():
    given = os.environ.get("LATHE_COMPILER")
    found = shutil.which(given) if given else shutil.which("lathe-compile")
    if not found:
        raise FileNotFoundError(
            f"the compiler '{given or 'lathe-compile'}' is not installed; put lathe-compile into PATH, "
            "or its path into LATHE_COMPILER, or load a model compiled elsewhere")
    return found


# What a device takes code from, where nothing is said of the target.
_TARGETS = {"cuda": "nvidia", "hip": "amd"}


def compile(model, output=None, *, target=None, dims=None, states=None, flags=(), threads=None,
            device=None):
    """Compiles an ONNX model (a path, bytes, or an onnx.ModelProto) and loads the result.

    `output`: where to keep the artifact; without it, it is gone with the model. `target`: "host", or
    levels such as "x86-64-v3". `dims`: sizes of symbolic dimensions by name. `states`: outputs that
    stay in the context as the next call's input, {"input": "output"}. `flags`: more options of
    `lathe compile`. `device`: where the result is to run; without a target, it is compiled for GPUs of
    that kind. Raises Error with the compiler's words."""
    if device is not None and not target:
        target = _TARGETS.get(_check_device(device).partition(":")[0])
    with tempfile.TemporaryDirectory(prefix="lathe-") as folder:
        if hasattr(model, "SerializeToString"):
            model = model.SerializeToString()
        if isinstance(model, (bytes, bytearray, memoryview)):
            path = os.path.join(folder, "model.onnx")
            with open(path, "wb") as file:
                file.write(model)
        else:
            path = os.fspath(model)
        result = os.fspath(output) if output is not None else os.path.join(folder, "model.lathe")
        command = [_find_compiler(), "compile", path, "-o", result, "--quiet"]
        if target:
            command += ["--target", target]
        for name, size in (dims or {}).items():
            command += ["--dim", f"{name}={size}"]
        for source, kept in (states or {}).items():
            command += ["--state", f"{source}={kept}"]
        done = subprocess.run(command + list(flags), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            raise Error(done.stderr.strip() or f"the compiler ended with {done.returncode}",
                        name="compile")
        return load(result, threads=threads, device=device)
