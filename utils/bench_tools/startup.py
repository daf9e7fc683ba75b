# How a process begins with a model: until it can run, the first run, and the memory it holds.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""Each side starts in processes of its own, several times in turn, since what a process has done
before changes what the next session costs. Compiled artifacts and models are in the file cache."""
import json
import mmap
import os
import resource
import statistics
import subprocess
import sys
import time

SIDES = ("ort", "lathe")
PROCESSES = 5
STEADY_SECONDS = 0.2


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def timed(call):
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def page_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def fault_seconds():
    """What a page of memory costs that is touched for the first time."""
    pages = 1000
    with mmap.mmap(-1, pages * mmap.PAGESIZE) as memory:
        # The loop's own time is that of a second round.
        first, second = (timed(lambda: [memory.__setitem__(i * mmap.PAGESIZE, 1)
                                        for i in range(pages)])[1] for _ in range(2))
    return max(first - second, 0) / pages


def run_side(side, path, inputs, threads, build):
    """In a fresh process: what this side needs, as one line of JSON."""
    import numpy
    with numpy.load(inputs) as file:
        feed = {name: file[name] for name in file.files}
    before = resident_bytes()
    if side == "ort":
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4
        session, ready = timed(lambda: onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]))
        call = lambda: session.run(None, feed)  # noqa: E731
    else:
        from . import runtime
        library = runtime.load(build)
        session, ready = timed(lambda: runtime.Lathe(library, path, threads))
        arrays = [numpy.asarray(feed[name], order="C") for name in session.input_names()]
        session.borrow(arrays)
        call = session.run_once
    faults = page_faults()
    _, first = timed(call)
    faults = page_faults() - faults
    times, end = [], time.perf_counter() + STEADY_SECONDS
    while len(times) < 3 or time.perf_counter() < end:
        times.append(timed(call)[1])
    resident = resident_bytes() - before
    print(json.dumps({"ready": ready, "first": first, "steady": statistics.median(times),
                      "faults": faults, "fault": fault_seconds(), "resident": resident}))


def measure(case, args, build):
    """Medians of both sides."""
    import numpy
    import onnxruntime
    from . import measure as comparison
    model = case.make()
    artifact, _ = comparison.compile_model(model, args, build)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs = os.path.join(args.out, "startup-inputs.npz")
    numpy.savez(inputs, **comparison.make_inputs(case, session))
    del session
    runs = {side: [] for side in SIDES}
    for _ in range(PROCESSES):
        for side, path in zip(SIDES, (model, artifact)):
            command = [sys.executable, sys.argv[0], "--startup-side", side, "--case", path,
                       "--inputs", inputs, "--threads", str(args.threads[0])]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit((done.stderr.strip().splitlines() or ["it failed"])[-1])
            runs[side].append(json.loads(done.stdout))
    medians = {side: {key: statistics.median(run[key] for run in runs[side])
                      for key in runs[side][0]} for side in SIDES}
    return {"name": case.name, "group": case.group, "startup": medians}


def table_head():
    return (f"{'case':<32} | {'ORT ready':>10} {'Lathe':>8} {'ratio':>6} | {'first':>9} {'steady':>9} "
            f"{'faults':>6} {'ratio':>5} {'ORT':>6} | {'ORT MiB':>8} {'Lathe MiB':>9}")


def fields(case):
    ort, lathe = case["startup"]["ort"], case["startup"]["lathe"]
    return (1e3 * ort["ready"], 1e3 * lathe["ready"], ort["ready"] / lathe["ready"],
            1e6 * lathe["first"], 1e6 * lathe["steady"], lathe["faults"], over_floor(lathe),
            over_floor(ort), ort["resident"] / 2**20, lathe["resident"] / 2**20)


def over_floor(side):
    """The first run over a steady one and the faults of its pages."""
    return side["first"] / (side["steady"] + side["faults"] * side["fault"])


def table_row(case):
    if "error" in case:
        return f"{case['name']:<32} | {case['error']}"
    return ("{:<32} | {:>8.1f}ms {:>6.2f}ms {:>6.0f} | {:>9.1f} {:>9.1f} {:>6.0f} {:>5.2f} {:>6.2f} "
            "| {:>8.1f} {:>9.1f}").format(case["name"], *fields(case))


def markdown(results):
    lines = [f"Measured {results['date']} on {results['processor']}; Lathe {results['lathe']}, "
             f"ONNX Runtime {results['onnxruntime']}, {results['threads']} thread, medians of "
             f"{PROCESSES} processes. The ratio of a first run is that over a steady one and its page "
             "faults, each at what one costs in the same process.", "",
             "| case | ORT ready, ms | Lathe ready, ms | ratio | Lathe's first run, us | steady, us "
             "| page faults | ratio | ORT's | ORT resident, MiB | Lathe resident, MiB |",
             "|---|" + "---:|" * 10]
    for case in results["cases"]:
        if "error" not in case:
            lines.append("| {} | {:.1f} | {:.2f} | {:.0f} | {:.0f} | {:.1f} | {:.0f} | {:.2f} | {:.2f} "
                         "| {:.1f} | {:.1f} |".format(case["name"], *fields(case)))
    return "\n".join(lines) + "\n"
