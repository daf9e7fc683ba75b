# Other runtimes and compilers of models, measured beside ONNX Runtime where they are asked for.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""Each takes a model, its inputs by name and a number of threads, and gives a function that runs it
once with these inputs, and what came out. They compute in f32 where the model does."""
import os
import subprocess
import sys
import tempfile

import numpy


def openvino(model, feed, threads):
    from openvino import Core, Tensor
    core = Core()
    network = core.read_model(model)
    # As fixed as a run allows: what suits it best.
    network.reshape({port.get_any_name(): list(feed[port.get_any_name()].shape)
                     for port in network.inputs})
    compiled = core.compile_model(network, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    arrays = {name: numpy.ascontiguousarray(array) for name, array in feed.items()}
    for port in compiled.inputs:
        request.set_tensor(port, Tensor(arrays[port.get_any_name()], shared_memory=True))
    request.infer()
    results = [numpy.array(request.get_output_tensor(i).data)
               for i in range(len(compiled.outputs))]
    return (lambda keep=arrays: request.infer()), results


def iree(model, feed, threads):
    from iree import runtime
    tools = os.path.dirname(sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        imported, compiled = os.path.join(folder, "m.mlir"), os.path.join(folder, "m.vmfb")
        call_tool(os.path.join(tools, "iree-import-onnx"), model, "-o", imported,
                  "--opset-version", "17")
        call_tool(os.path.join(tools, "iree-compile"), imported, "-o", compiled,
                  "--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu",
                  "--iree-llvmcpu-target-cpu=host", "--iree-opt-level=O3")
        with open(compiled, "rb") as file:
            code = file.read()
    # Of several threads a process has one number: the first.
    runtime.flags.parse_flags(f"--task_topology_group_count={threads}")
    device = runtime.get_device("local-sync" if threads == 1 else "local-task")
    config = runtime.Config(device=device)
    module = runtime.VmModule.copy_buffer(config.vm_instance, code)
    functions = runtime.load_vm_module(module, config)
    name = next(f for f in module.function_names if not f.startswith("__") and "$async" not in f)
    function = functions[name]
    arrays = [runtime.asdevicearray(device, array) for array in feed.values()]
    first = function(*arrays)
    first = first if isinstance(first, (list, tuple)) else [first]
    return (lambda: function(*arrays)), [result.to_host() for result in first]


def call_tool(*command):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line]
        raise RuntimeError((lines or [f"{os.path.basename(command[0])} failed"])[0])


# By name: the packages on PyPI, and the function.
PEERS = {"openvino": (["openvino"], openvino),
         "iree": (["iree-base-compiler[onnx]", "iree-base-runtime"], iree)}
