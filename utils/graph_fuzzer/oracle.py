# Operators whose results ONNX Runtime knows, where it is installed, as operators.py asks numpy.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""Each makes a model of one node, has ONNX Runtime run it, and adds the node with what came out. What
ONNX Runtime refuses is left out."""
import numpy as np

from zoo_models import wire

try:
    import onnxruntime
except ImportError:
    onnxruntime = None

WIDE = ("float32", "int32", "int64")
MOVED = ("float32", "float64", "float16", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
         "uint64", "bool")
OPSET = 18


def _session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_node(op, inputs, attributes, outputs):
    """What ONNX Runtime computes; None where it refuses."""
    node, graph = wire.Message(), wire.Message()
    for i, value in enumerate(inputs):
        node.data(1, f"i{i}" if value is not None else "")
    for i in range(outputs):
        node.data(2, f"o{i}")
    node.data(4, op)
    for key, value in attributes.items():
        node.message(5, wire.attribute(key, value))
    graph.message(1, node).data(2, "one")
    for i, value in enumerate(inputs):
        if value is not None:
            graph.message(11, wire.value_info(f"i{i}", str(value.dtype), value.shape))
    for i in range(outputs):
        graph.message(12, wire.Message().data(1, f"o{i}"))
    model = wire.Message().integer(1, 8).message(7, graph).message(
        8, wire.Message().data(1, "").integer(2, OPSET))
    try:
        return _session(b"".join(bytes(chunk) for chunk in model.chunks)).run(
            None, {f"i{i}": value for i, value in enumerate(inputs) if value is not None})
    except Exception:  # pylint: disable=broad-except
        return None


def _add(graph, op, inputs, exact=None, outputs=1, valid=None, **attributes):
    """`valid` says whether ONNX defines a result; one that it does not define makes no node."""
    results = run_node(op, [value.array if value else None for value in inputs], attributes, outputs)
    if results is None or any(result.size > 40000 for result in results):
        return None
    if valid and not all(map(valid, results)):
        return None
    # A wrong last digit of a large number would look like a wrong result of a small one.
    if exact is False and any(result.dtype.kind == "f" and
                              np.abs(result[np.isfinite(result)]).max(initial=0) > 1e4
                              for result in results):
        return None
    return graph.node(op, inputs, results, exact, **attributes)


def _pick(graph, *dtypes, **how):
    return graph.pick(*dtypes, finite=True, filled=True, **how)


def unary(graph):
    op = str(graph.random.choice(["Sign", "Reciprocal", "Sqrt", "Log", "Asinh", "Selu", "Celu", "Mish",
                                  "Softsign", "HardSwish", "IsNaN", "Sinh", "Cosh", "Tan"]))
    value = graph.pick("float32", exact=op in ("Sign", "IsNaN"))
    if op != "IsNaN" and (not value.finite or np.abs(value.array).max(initial=0) > 8):
        return None
    if op in ("Reciprocal", "Sqrt", "Log") and np.abs(value.array).min(initial=1) < 0.1:
        return None
    if op == "Tan" and np.abs(np.cos(value.array)).min(initial=1) < 0.1:
        return None
    return _add(graph, op, [value], None if op in ("Sign", "IsNaN") else False)


def integers(graph):
    op = str(graph.random.choice(["BitwiseAnd", "BitwiseOr", "BitwiseXor", "Mod", "Div", "Max", "Min",
                                  "Add", "Sub", "Mul"]))
    narrow = op.startswith("Bitwise") or op == "Mod"
    dtype = str(graph.random.choice(MOVED[3:-1] if narrow else ["int32", "int64", "uint32", "uint64"]))
    value = graph.source(dtype, graph.shape(0, 3))
    other = graph.source(dtype, tuple(1 if graph.chance(0.3) else size for size in value.shape))
    if op in ("Mod", "Div"):
        other.array = np.where(other.array == 0, 3, other.array).astype(dtype)
    return _add(graph, op, [value, other])


def shift(graph):
    value = graph.source(str(graph.random.choice(["uint8", "uint32", "uint64"])), graph.shape(0, 3))
    other = graph.source(value.dtype, value.shape)
    return _add(graph, "BitShift", [value, other],
                direction=str(graph.random.choice(["LEFT", "RIGHT"])))


def reduce(graph):
    op = str(graph.random.choice(["ReduceL2", "ReduceLogSum", "ReduceProd", "ReduceMin", "ReduceMax",
                                  "ReduceSum", "ReduceMean"]))
    value = _pick(graph, *(WIDE if op in ("ReduceMin", "ReduceMax", "ReduceSum") else ("float32",)))
    if np.abs(value.array).max(initial=0) > 16 or (op == "ReduceLogSum" and value.array.min() < 0.1):
        return None
    rank = len(value.shape)
    axes = [int(a) - rank * int(graph.chance(0.5))
            for a in graph.random.permutation(rank)[:graph.random.integers(0, rank + 1)]]
    inputs = [value] + ([graph.integers(axes)] if axes or graph.chance(0.3) else [])
    exact = None if value.dtype != "float32" or op in ("ReduceMin", "ReduceMax") else False
    return _add(graph, op, inputs, exact, keepdims=int(graph.chance(0.5)),
                noop_with_empty_axes=int(graph.chance(0.3)))


def pad(graph):
    value = _pick(graph, "float32", "int32", least=1)
    rank = len(value.shape)
    pads = graph.random.integers(-2, 4, 2 * rank)
    mode = str(graph.random.choice(["constant", "reflect", "edge"]))
    return _add(graph, "Pad", [value, graph.integers(pads)], mode=mode)


def slice_(graph):
    value = graph.pick(*MOVED, least=1)
    rank = len(value.shape)
    axes = graph.random.permutation(rank)[:graph.random.integers(1, rank + 1)]
    far = [-2 ** 63, 2 ** 63 - 1, -2 ** 31, 2 ** 31 - 1, -100, 100]
    pick = lambda: int(graph.random.choice(far)) if graph.chance(0.2) else int(graph.random.integers(-9, 9))
    steps = [int(graph.random.choice([1, 1, 2, 3, -1, -2, 2 ** 63 - 1, -2 ** 63])) for _ in axes]
    # Going backwards, ONNX clamps the largest numbers to the last element, as any others; ONNX Runtime
    # takes them as "to the end", which ONNX writes as the smallest.
    ends = [100 if step < 0 and end in (far[1], far[3]) else end for step in steps for end in [pick()]]
    return _add(graph, "Slice", [value, graph.integers([pick() for _ in axes]), graph.integers(ends),
                                 graph.integers([int(a) - rank * int(graph.chance(0.5)) for a in axes]),
                                 graph.integers(steps)])


def scatter(graph):
    value = _pick(graph, "float32", "int32", least=1, exact=True)
    axis = graph.axis(value)
    shape = tuple(int(graph.random.integers(1, size + 1)) for size in value.shape)
    indices = graph.source("int64", shape)
    size = value.shape[axis]
    indices.array = graph.random.integers(-size, size, shape).astype(np.int64)
    updates = graph.source(value.dtype, shape)
    if not updates.finite:
        return None
    reduction = str(graph.random.choice(["add", "mul", "max", "min"]))
    return _add(graph, "ScatterElements", [value, indices, updates],
                None if value.dtype == "int32" else False, axis=axis, reduction=reduction)


def _fits(value, kernel, attributes):
    """Whether a window has room. Of one that has none ONNX Runtime makes one place where the stride is
    more than what is missing, as it rounds towards zero; ONNX rounds down."""
    rank = len(kernel)
    pads = attributes.get("pads", [0] * 2 * rank)
    dilations = attributes.get("dilations", [1] * rank)
    return attributes.get("auto_pad", "VALID") != "VALID" or all(
        size + pads[i] + pads[i + rank] >= (kernel[i] - 1) * dilations[i] + 1
        for i, size in enumerate(value.shape[2:]))


def pools(graph):
    value = _pick(graph, "float32", rank=int(graph.random.integers(3, 6)))
    rank = len(value.shape) - 2
    kernel = [int(k) for k in graph.random.integers(1, 4, rank)]
    attributes = {"kernel_shape": kernel, "strides": [int(s) for s in graph.random.integers(1, 4, rank)]}
    op = str(graph.random.choice(["MaxPool", "AveragePool", "LpPool"]))
    if graph.chance(0.3):
        attributes["auto_pad"] = str(graph.random.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    else:
        attributes["pads"] = [min(int(p), kernel[i % rank] - 1)
                              for i, p in enumerate(graph.random.integers(0, 3, 2 * rank))]
        if op != "LpPool":
            attributes["ceil_mode"] = int(graph.chance(0.5))
    if op == "AveragePool":
        attributes["count_include_pad"] = int(graph.chance(0.5))
    # Of windows with gaps ONNX Runtime forgets the gaps when it works out the pads.
    if op == "MaxPool" and attributes.get("auto_pad", "VALID") == "VALID" and graph.chance(0.5):
        attributes["dilations"] = [int(d) for d in graph.random.integers(1, 3, rank)]
    if not _fits(value, kernel, attributes):
        return None
    # A window of padding alone has no maximum (ONNX Runtime gives the lowest number), and one that
    # fits nowhere is refused.
    return _add(graph, op, [value], None if op == "MaxPool" else False,
                valid=lambda array: array.size and np.isfinite(array).all() and array.min() > -3e38,
                **attributes)


def convolution(graph):
    value = _pick(graph, "float32", rank=int(graph.random.choice([3, 5])))
    rank = len(value.shape) - 2
    channels = value.shape[1]
    if channels > 8 or np.abs(value.array).max(initial=0) > 30:
        return None
    group = int(graph.random.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    kernel = [int(k) for k in graph.random.integers(1, 4, rank)]
    attributes = {"group": group, "strides": [int(s) for s in graph.random.integers(1, 3, rank)],
                  "pads": [int(p) for p in graph.random.integers(0, 3, 2 * rank)],
                  "dilations": [int(d) for d in graph.random.integers(1, 3, rank)]}
    transposed = bool(graph.chance(0.5))
    if not transposed and not _fits(value, kernel, attributes):
        return None
    outputs = int(graph.random.integers(1, 4))
    weight = graph.source("float32", (channels, outputs, *kernel) if transposed else
                          (group * outputs, channels // group, *kernel))
    if not weight.finite:
        return None
    return _add(graph, "ConvTranspose" if transposed else "Conv", [value, weight], False, **attributes)


def resize(graph):
    value = _pick(graph, "float32", rank=4)
    if np.abs(value.array).max(initial=0) > 50:
        return None
    mode = str(graph.random.choice(["linear", "cubic"]))
    attributes = {"mode": mode, "coordinate_transformation_mode": str(graph.random.choice(
        ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]))}
    if mode == "cubic":
        attributes["cubic_coeff_a"] = float(graph.random.choice([-0.75, -0.5]))
        attributes["exclude_outside"] = int(graph.chance(0.4))
    if graph.chance(0.4):
        attributes["antialias"] = 1
    sizes = [max(1, graph.size()) for _ in range(2)]
    return _add(graph, "Resize", [value, None, None, graph.integers([*value.shape[:2], *sizes])],
                False, **attributes)


def recurrent(graph):
    value = _pick(graph, "float32", rank=3)
    steps, batch, size = value.shape
    if steps > 20 or np.abs(value.array).max(initial=0) > 10:
        return None
    op, gates = [("RNN", 1), ("GRU", 3), ("LSTM", 4)][graph.random.integers(3)]
    hidden = int(graph.random.choice([1, 3, 5, 8]))
    direction = str(graph.random.choice(["forward", "reverse", "bidirectional"]))
    count = 2 if direction == "bidirectional" else 1
    quarter = lambda *shape: graph.constant((graph.random.integers(-8, 9, shape) / 16).astype("float32"))
    inputs = [value, quarter(count, gates * hidden, size), quarter(count, gates * hidden, hidden),
              quarter(count, 2 * gates * hidden) if graph.chance(0.6) else None, None]
    if graph.chance(0.5):
        inputs[4] = graph.constant(graph.random.integers(1, steps + 1, batch).astype("int32"))
    if graph.chance(0.5):
        inputs += [quarter(count, batch, hidden)] * (2 if op == "LSTM" else 1)
    while inputs[-1] is None:
        inputs.pop()
    attributes = {"hidden_size": hidden, "direction": direction}
    if graph.chance(0.3):
        attributes["clip"] = 0.5
    if op == "GRU":
        attributes["linear_before_reset"] = int(graph.chance(0.5))
    return _add(graph, op, inputs, False, outputs=3 if op == "LSTM" else 2, **attributes)


def grid_sample(graph):
    value = _pick(graph, "float32", rank=4)
    grid = graph.source("float32", (value.shape[0], 2, 3, 2))
    grid.array = graph.random.uniform(-1.4, 1.4, grid.shape).astype("float32")
    grid.finite = True
    if np.abs(value.array).max(initial=0) > 50:
        return None
    return _add(graph, "GridSample", [value, grid], False,
                mode=str(graph.random.choice(["bilinear", "bicubic"])),
                padding_mode=str(graph.random.choice(["zeros", "border", "reflection"])),
                align_corners=int(graph.chance(0.5)))


def normalize(graph):
    value = _pick(graph, "float32", rank=4)
    if np.abs(value.array).max(initial=0) > 50:
        return None
    if graph.chance(0.5):
        return _add(graph, "LRN", [value], False, size=int(graph.random.choice([1, 3, 5])), alpha=0.01)
    return _add(graph, "LpNormalization", [value], False, axis=graph.axis(value),
                p=int(graph.random.integers(1, 3)))


def hardmax(graph):
    value = _pick(graph, "float32", least=1, exact=True)
    return _add(graph, "Hardmax", [value], axis=graph.axis(value))


def reverse_sequence(graph):
    value = _pick(graph, *MOVED[:-1], least=2)
    lengths = graph.constant(graph.random.integers(1, value.shape[0] + 1, value.shape[1]))
    return _add(graph, "ReverseSequence", [value, lengths], batch_axis=1, time_axis=0)


def cast(graph):
    value = graph.pick(*MOVED, exact=True, finite=True)
    if np.abs(value.array.astype(np.float64)).max(initial=0) > 100:
        return None
    to = str(graph.random.choice(MOVED))
    if to.startswith("u") and value.array.min(initial=0) < 0:
        return None
    return _add(graph, "Cast", [value], to=wire.DTYPES[to])


def move(graph):
    """Movement of every type."""
    value = graph.source(str(graph.random.choice(MOVED)), graph.shape(1, 4))
    rank = len(value.shape)
    choice = graph.random.integers(4)
    if choice == 0:
        return _add(graph, "Transpose", [value], perm=[int(i) for i in graph.random.permutation(rank)])
    if choice == 1:
        return _add(graph, "Concat", [value, value], axis=graph.axis(value))
    if choice == 2:
        return _add(graph, "Tile", [value, graph.integers(graph.random.integers(0, 3, rank))])
    axis = graph.axis(value)
    if not value.shape[axis]:
        return None
    size = value.shape[axis]
    return _add(graph, "Gather", [value, graph.integers(graph.random.integers(-size, size, 3))], axis=axis)


ALL = [unary, unary, integers, integers, shift, reduce, reduce, pad, slice_, slice_, scatter, pools, pools,
       convolution, convolution, resize, recurrent, grid_sample, normalize, hardmax, reverse_sequence,
       cast, move, move] if onnxruntime else []
