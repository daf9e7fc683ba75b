# One case: compile, run in alternating rounds, compare.
# Licensed under Apache-2.0 WITH LLVM-exception.
import hashlib
import os
import statistics
import subprocess
import sys
import time

import numpy
import onnxruntime

from . import peers, runtime

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

TYPES = {"float": "float32", "double": "float64"}
# ONNX Runtime's threads go on spinning after a run, for longer than 50 ms, and would take Lathe's
# second processor.
SETTLE_SECONDS = 0.4
# A peer that is so far off, in units of the RMS, computes something else.
WRONG = 1e-2
PB_TYPES = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
            9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64"}
# Fields of a TensorProto that hold its elements one by one.
PB_LISTS = {4: "float32", 5: "int32", 7: "int64", 10: "float64", 11: "uint64"}


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def read_tensor(path):
    """A TensorProto from a file."""
    with open(path, "rb") as file:
        data = file.read()
    at, dims, kind, raw, values = 0, [], 1, None, []
    while at < len(data):
        tag, at = read_varint(data, at)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = read_varint(data, at)
        else:
            size = {5: 4, 1: 8}.get(wire)
            if size is None:
                size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
        if field == 1:
            packed = [value] if wire == 0 else []
            place = 0
            while wire == 2 and place < len(value):
                number, place = read_varint(value, place)
                packed.append(number)
            dims += packed
        elif field == 2:
            kind = value
        elif field == 9:
            raw = value
        elif field in PB_LISTS:
            if wire == 0:
                values.append(value)
            elif field in (4, 10):
                values += numpy.frombuffer(value, PB_LISTS[field]).tolist()
            else:
                place = 0
                while place < len(value):
                    number, place = read_varint(value, place)
                    values.append(number - (1 << 64) if number >> 63 else number)
    dtype = numpy.dtype(PB_TYPES[kind])
    array = numpy.frombuffer(raw, dtype) if raw is not None else numpy.array(values).astype(dtype)
    return array.reshape(dims).copy()


def make_inputs(case, session):
    random, feed = numpy.random.default_rng(0), {}
    for index, spec in enumerate(session.get_inputs()):
        path = os.path.join(case.data, f"input_{index}.pb")
        if case.data and os.path.exists(path):
            feed[spec.name] = read_tensor(path)
            continue
        kind = spec.type.removeprefix("tensor(").removesuffix(")")
        dtype = TYPES.get(kind, kind)
        shape = [d if isinstance(d, int) else case.dims.get(d, 1) for d in spec.shape]
        if dtype.startswith("float"):
            feed[spec.name] = random.standard_normal(shape).astype(dtype)
        elif "mask" in spec.name or dtype == "bool":
            feed[spec.name] = numpy.ones(shape, dtype)
        else:
            feed[spec.name] = random.integers(0, 2, shape).astype(dtype)
    return feed


def compile_model(model, args, build):
    """The artifact, made anew when the model, the compiler or the target has changed."""
    compiler = os.path.join(build, "bin", "lathe-compile")
    key = f"{os.path.abspath(model)} {os.stat(model).st_mtime_ns} {args.target}"
    artifact = os.path.join(args.out, hashlib.sha256(key.encode()).hexdigest()[:16] + ".lathe")
    if os.path.exists(artifact) and \
            os.stat(artifact).st_mtime_ns > os.stat(compiler).st_mtime_ns:
        return artifact, 0.0
    command = [compiler, "compile", model, "-o", artifact]
    if args.target:
        command += ["--target", args.target]
    start = time.perf_counter()
    # What restricts the libraries in this process is none of the compiler's business.
    unrestricted = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False,
                          env=unrestricted)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line]
        sys.exit((lines or [f"the compiler ended with {done.returncode}"])[0][:160])
    return artifact, time.perf_counter() - start


def ort_caller(session, feed):
    """A function for the inner loop, with inputs and outputs bound; and the first results."""
    names = [output.name for output in session.get_outputs()]
    first = session.run(None, feed)
    if not all(isinstance(result, numpy.ndarray) for result in first):
        return (lambda: session.run(None, feed)), []
    binding = session.io_binding()
    for name, array in feed.items():
        binding.bind_cpu_input(name, array)
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(numpy.zeros_like(r)) for r in first]
    for name, value in zip(names, values):
        binding.bind_ortvalue_output(name, value)
    options = onnxruntime.RunOptions()
    run, inner = session._sess.run_with_iobinding, binding._iobinding  # no Python between
    # The binding only points to what it binds.
    return (lambda keep=(feed, values): run(inner, options)), first


def run_for(call, seconds):
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return times


def difference(expected, actual):
    """The largest difference over the RMS of what is expected; None where shapes differ."""
    worst = 0.0
    for a, b in zip(expected, actual):
        if a.shape != b.shape:
            return None
        if a.dtype.kind == "f" and a.size:
            scale = float(numpy.sqrt(numpy.mean(numpy.square(a.astype(numpy.float64))))) or 1.0
            with numpy.errstate(invalid="ignore"):
                error = numpy.abs(a.astype(numpy.float64) - b.astype(numpy.float64))
            worst = max(worst, float(numpy.nanmax(error, initial=0.0)) / scale)
    return worst


def summarize(times):
    micros = [1e6 * t for t in times]
    return {"median": round(statistics.median(micros), 3), "min": round(min(micros), 3),
            "runs": len(micros)}


def measure(case, args, build):
    model = case.make()
    artifact, compile_seconds = compile_model(model, args, build)
    result = {"name": case.name, "group": case.group, "batch": case.batch,
              "compile_s": round(compile_seconds, 2), "threads": {}}
    for threads in args.threads:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(model, options,
                                               providers=["CPUExecutionProvider"])
        feed = make_inputs(case, session)
        theirs, expected = ort_caller(session, feed)
        lathe = runtime.Lathe(runtime.load(build), artifact, threads)
        lathe.bind([numpy.asarray(feed[name], order="C") for name in lathe.input_names()])
        if expected:
            result["difference"] = difference(expected, lathe.results(numpy))
        sides = {"ort": theirs, "lathe": lathe.caller()}
        measured = result["threads"][str(threads)] = {}
        for name in args.peers:
            try:
                sides[name], results = peers.PEERS[name][1](model, feed, threads)
                apart = difference(expected, results)
                if apart is None or apart > WRONG:
                    raise RuntimeError(f"its results are {apart or 'of other shapes'} off")
            except Exception as error:  # pylint: disable=broad-except
                sides.pop(name, None)
                measured[name] = {"error": (str(error).strip().splitlines() or ["?"])[-1][:120]}
        times = {name: [] for name in sides}
        for _ in range(args.rounds):
            for name, call in sides.items():
                if threads > 1:
                    time.sleep(SETTLE_SECONDS)
                call()
                times[name].extend(run_for(call, args.seconds))
        for name in sides:
            measured[name] = summarize(times[name])
    return result
