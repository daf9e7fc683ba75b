# Other runtimes and compilers of models, measured beside ONNX Runtime where they are asked for.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""Each takes a model, its inputs by name and a number of threads, and gives a function that runs it
once with these inputs, and what came out. They compute in f32 where the model does."""
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


# By name: the package on PyPI, and the function.
PEERS = {"openvino": ("openvino", openvino)}
