# Operators of com.microsoft: attention with masks and caches, quantized products. Used by
# schedule.py --cases.
# Licensed under Apache-2.0 WITH LLVM-exception.
import numpy as np

from tracer import Graph

MS = "com.microsoft:1"


def attention(query, key, value, bias=0, cap=0, extra=None):
    """[B, N, S, H] queries; fewer heads of keys and values are shared."""
    share = query.shape[1] // key.shape[1]
    key, value = np.repeat(key, share, 1), np.repeat(value, share, 1)
    scores = query @ key.swapaxes(2, 3) / np.sqrt(query.shape[3])
    if cap:
        scores = cap * np.tanh(scores / cap)
    scores = scores + bias
    if extra is not None:
        scores = np.concatenate([scores, np.full((*scores.shape[:3], 1), extra)], 3)
    weights = np.exp(scores - scores.max(3, keepdims=True))
    weights = weights / weights.sum(3, keepdims=True)
    return weights[..., :key.shape[2]] @ value


def split(x, heads):
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def join(x):
    x = x.transpose(0, 2, 1, 3)
    return x.reshape(*x.shape[:2], -1)


def after(queries, keys):
    """What a query may not see: keys after it, the last query seeing the last key."""
    positions = np.arange(queries)[:, None] + keys - queries
    return np.where(np.arange(keys) <= positions, 0, -np.inf)


def projected_attention():
    g = Graph("projected_attention", 20)
    heads, size = 3, 4
    width = heads * size
    for case, (batch, queries, past, causal, mask) in enumerate(
            [(1, 1, 0, 0, None), (2, 5, 0, 1, None), (2, 5, 0, 0, "lengths"), (1, 3, 4, 1, "flags"),
             (2, 1, 6, 1, None), (2, 4, 0, 0, "each")]):
        with g.case(f"attention_{case}"):
            x, w, b = g.input(batch, queries, 7), g.weight(7, 3 * width), g.weight(3 * width)
            parts = np.split(x.array @ w.array + b.array, 3, 2)
            query, key, value = (split(part, heads) for part in parts)
            inputs = [x, w, b, "", ""]
            keys = past + queries
            if past:
                cache = g.input(2, batch, heads, past, size)
                inputs[4] = cache
                key = np.concatenate([cache.array[0], key], 2)
                value = np.concatenate([cache.array[1], value], 2)
            bias = after(queries, keys) if causal else 0
            if mask:
                if mask == "lengths":
                    flags = np.array([3, 5], np.int32)
                    allowed = (np.arange(keys) < flags[:, None])[:, None, None]
                else:
                    shape = (batch, keys) if mask == "flags" else (batch, queries, keys)
                    flags = (g.random.random(shape) < 0.7).astype("int32")
                    flags[..., 0] = 1
                    allowed = flags[:, None, None] if mask == "flags" else flags[:, None]
                inputs[3] = g.given(flags)
                bias = bias + np.where(allowed, 0, -10000)
            results = [join(attention(query, key, value, bias)), np.stack([key, value])]
            for result in g.nodes("Attention", results, *inputs, domain=MS, num_heads=heads,
                                  unidirectional=causal):
                g.output(result)
    return g


def multi_head():
    g = Graph("multi_head", 21)
    for case, (batch, queries, keys, heads, size) in enumerate(
            [(1, 1, 1, 1, 8), (2, 3, 5, 2, 4), (2, 5, 3, 3, 5)]):
        width = heads * size
        with g.case(f"multi_head_{case}"):
            q, b = g.input(batch, queries, width), g.weight(3 * width)
            k, v = g.input(batch, keys, width), g.input(batch, keys, width)
            more = g.input(1, heads, queries, keys)
            parts = [split(x.array + part, heads)
                     for x, part in zip((q, k, v), np.split(b.array, 3))]
            g.output(g.node("MultiHeadAttention", join(attention(*parts, more.array)), q, k, v, b,
                            "", more, domain=MS, num_heads=heads))
            packed = g.input(batch, queries, heads, 3, size)
            parts = [packed.array[:, :, :, i].transpose(0, 2, 1, 3) for i in range(3)]
            g.output(g.node("MultiHeadAttention", join(attention(*parts)), packed, domain=MS,
                            num_heads=heads))
            packed = g.input(batch, keys, heads, 2, size)
            parts = [packed.array[:, :, :, i].transpose(0, 2, 1, 3) for i in range(2)]
            g.output(g.node("MultiHeadAttention", join(attention(split(q.array, heads), *parts)), q,
                            packed, domain=MS, num_heads=heads))
    return g


def rotate(x, angles, interleaved):
    """x: [B, N, S, H], angles: [B, S, H / 2]"""
    cosines, sines = np.cos(angles)[:, None], np.sin(angles)[:, None]
    half = x.shape[3] // 2
    a, b = (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
    real, imaginary = cosines * a - sines * b, sines * a + cosines * b
    if interleaved:
        return np.stack([real, imaginary], 4).reshape(x.shape)
    return np.concatenate([real, imaginary], 3)


def group_query(g, batch, queries, past, heads, groups, size, lengths=None, rotary=False,
                interleaved=0, window=-1, packed=False, cap=0.0, smooth=0, sink=False, dims=None):
    """One node: `lengths` keys in each batch, those of this step included."""
    total = past + queries
    lengths = lengths or [total] * batch
    dims = dims or [batch, queries, past]
    q = g.input(dims[0], dims[1], (heads + (2 * groups if packed else 0)) * size)
    inputs = [q] + [""] * 11
    if packed:
        query, key, value = np.split(q.array, [heads * size, (heads + groups) * size], 2)
    else:
        k, v = (g.input(dims[0], dims[1], groups * size) for _ in range(2))
        inputs[1:3] = [k, v]
        query, key, value = q.array, k.array, v.array
    query, key, value = split(query, heads), split(key, groups), split(value, groups)
    before = np.array([0 if queries == total else length - queries for length in lengths])
    positions = before[:, None] + np.arange(queries)
    if rotary:
        frequencies = 10000.0**(-np.arange(size // 2) / (size // 2))
        table = np.arange(32)[:, None] * frequencies
        inputs[7:9] = [g.weight(values=np.cos(table)), g.weight(values=np.sin(table))]
        query = rotate(query, table[positions], interleaved)
        key = rotate(key, table[positions], interleaved)
    caches = []
    if past:
        caches = [g.input(dims[0], groups, dims[2], size) for _ in range(2)]
        inputs[3:5] = caches
    present = [np.zeros((batch, groups, total, size)) for _ in range(2)]
    for i, (result, fresh) in enumerate(zip(present, (key, value))):
        for item in range(batch):
            if past:
                result[item, :, :before[item]] = caches[i].array[item, :, :before[item]]
            result[item, :, before[item]:before[item] + queries] = fresh[item]
    distance = positions[:, None, :, None] - np.arange(total)
    allowed = (distance >= 0) & ((distance < window) if window >= 0 else True)
    # Queries of the padding behind a prompt see no keys of the padding.
    allowed &= np.arange(total) < np.array(lengths)[:, None, None, None]
    extra = 0 if smooth else None
    if sink:
        values = g.weight(heads)
        inputs[11] = values
        extra = values.array[None, :, None, None]
    result = attention(query, *present, np.where(allowed, 0, -np.inf), cap, extra)
    inputs[5] = g.given(np.array(lengths, np.int32) - 1, dims[:1])
    inputs[6] = g.given(np.array(total, np.int32))
    while not inputs[-1]:
        inputs.pop()
    return g.nodes("GroupQueryAttention", [join(result), *present], *inputs, domain=MS,
                   num_heads=heads, kv_num_heads=groups, do_rotary=int(rotary),
                   rotary_interleaved=interleaved, local_window_size=window, softcap=float(cap),
                   smooth_softmax=smooth)


def group_queries():
    g = Graph("group_queries", 22)
    cases = {"prompt": dict(queries=4, past=0), "step": dict(queries=1, past=5),
             "one": dict(batch=1, queries=1, past=0, heads=1, groups=1),
             "padded": dict(queries=1, past=6, lengths=[5, 7], rotary=True),
             "prompt_padded": dict(queries=4, past=0, lengths=[3, 4], rotary=True),
             "interleaved": dict(queries=2, past=3, rotary=True, interleaved=1),
             "packed": dict(queries=3, past=2, packed=True, rotary=True),
             "window": dict(queries=6, past=0, window=2), "capped": dict(queries=4, past=1, cap=2.0),
             "smooth": dict(queries=3, past=3, smooth=1), "sink": dict(queries=3, past=0, sink=True)}
    for name, options in cases.items():
        with g.case(name):
            for result in group_query(g, **{"batch": 2, "heads": 4, "groups": 2, "size": 8,
                                            **options}):
                g.output(result)
    return g


def dynamic_group_queries(batch, queries, past):
    g = Graph("dynamic_group_queries", 23, batch=batch, queries=queries, past=past)
    result, key, value = group_query(g, batch, queries, past, 4, 2, 8, rotary=True,
                                     dims=["batch", "queries", "past"])
    g.output(result, ["batch", "queries", 32])
    g.output(key, ["batch", 2, "total", 8])
    g.output(value, ["batch", 2, "total", 8])
    return g


def embeddings():
    g = Graph("embeddings", 24)
    words, places, kinds = g.weight(9, 6), g.weight(7, 6), g.weight(2, 6)
    scale, shift = g.weight(6), g.weight(6)

    def normalize(x):
        centred = x - x.mean(2, keepdims=True)
        variance = (centred * centred).mean(2, keepdims=True)
        return centred / np.sqrt(variance + np.float32(1e-5)) * scale.array + shift.array
    ids, segments = g.random.integers(0, 9, (2, 5)), g.random.integers(0, 2, (2, 5))
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    total = words.array[ids] + places.array[:5] + kinds.array[segments]
    for result in g.nodes("EmbedLayerNormalization",
                          [normalize(total), np.array([3, 5], np.int32), total],
                          *(g.given(x.astype("int32")) for x in (ids, segments)), words, places,
                          kinds, scale, shift, g.given(mask.astype("int32")), domain=MS,
                          epsilon=1e-5):
        g.output(result)
    at = g.random.integers(0, 7, (2, 5))
    total = words.array[ids] + places.array[at]
    g.output(g.node("EmbedLayerNormalization", normalize(total), g.given(ids.astype("int32")), "",
                    words, places, "", scale, shift, "", g.given(at.astype("int32")), domain=MS,
                    epsilon=1e-5))
    return g


def few_bits():
    g = Graph("few_bits", 25)
    for bits in (2, 4, 8):
        for rows, columns, block, zeros in ((32, 5, 16, None), (33, 7, 16, "packed"),
                                            (70, 1, 32, "floats"), (1, 3, 16, None)):
            blocks = -(-rows // block)
            numbers = g.weights.integers(0, 1 << bits, (columns, blocks, block))
            scales = g.weight(columns, blocks)
            each = 8 // bits

            def pack(values):
                pad = -values.shape[-1] % each
                values = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, pad)])
                values = values.reshape(*values.shape[:-1], -1, each)
                return (values << (bits * np.arange(each))).sum(-1).astype("uint8")
            inputs = [g.weight(values=pack(numbers)), scales]
            zero = np.full((columns, blocks), 1 << (bits - 1))
            if zeros == "packed":
                zero = g.weights.integers(0, 1 << bits, (columns, blocks))
                inputs.append(g.weight(values=pack(zero)))
            elif zeros:
                zero = g.weights.uniform(0, 3, (columns, blocks)).astype("float32")
                inputs.append(g.weight(values=zero))
            dense = (numbers - zero[..., None]) * scales.array[..., None]
            dense = dense.reshape(columns, -1)[:, :rows]
            with g.case(f"bits_{bits}_{rows}_{columns}_{zeros}"):
                x = g.input(2, 3, rows)
                g.output(g.node("MatMulNBits", x.array @ dense.T, x, *inputs, domain=MS, K=rows,
                                N=columns, bits=bits, block_size=block))
    return g


def integer_products():
    g = Graph("integer_products", 26)
    for kind, low, high in (("int8", -100, 100), ("uint8", 0, 200)):
        for columns in (1, 4, 17):
            a = g.random.integers(0, 200, (3, 5)).astype("uint8")
            b = g.weights.integers(low, high, (5, columns)).astype(kind)
            zeros = g.weights.integers(1, 9, columns).astype(kind)
            scales, bias = g.weight(columns), g.weight(columns)
            with g.case(f"product_{kind}_{columns}"):
                product = (a.astype("int64") - 7) @ (b.astype("int64") - zeros)
                g.output(g.node(
                    "MatMulIntegerToFloat", product * np.float32(0.03) * scales.array + bias.array,
                    g.given(a), g.weight(values=b), g.weight(values=[0.03]), scales,
                    g.weight(values=np.array([7], "uint8")), g.weight(values=zeros), bias,
                    domain=MS))
                x = g.input(3, 5)
                floats = x.array.astype("float32")
                top, bottom = max(floats.max(), 0), min(floats.min(), 0)
                scale = np.float32((top - bottom) / np.float32(255))
                zero = np.clip(np.rint(-bottom / scale), 0, 255)
                whole = np.clip(np.rint(floats / scale) + zero, 0, 255).astype("int64")
                product = (whole - int(zero)) @ (b.astype("int64") - zeros)
                g.output(g.node("DynamicQuantizeMatMul",
                                product * float(scale) * scales.array + bias.array, x,
                                g.weight(values=b), scales, g.weight(values=zeros), bias,
                                domain=MS))
    return g


def older_forms():
    """What ai.onnx has as well, in the forms of before."""
    g = Graph("older_forms", 28)
    x, scale = g.input(3, 4), g.weight(values=np.float64(0.05))
    whole = np.clip(np.rint(x.array / np.float32(0.05)) + 3, -32768, 32767).astype("int16")
    zero = g.weight(values=np.int16(3))
    numbers = g.node("QuantizeLinear", whole, x, scale, zero, domain=MS)
    g.output(numbers)
    g.output(g.node("DequantizeLinear", (whole - 3.0) * np.float32(0.05), numbers, scale, zero,
                    domain=MS))
    a, b = g.input(4, 3), g.input(5, 4)
    g.output(g.node("TransposeMatMul", 0.5 * (a.array.T @ b.array.T), a, b, domain=MS, transA=1,
                    transB=1, alpha=0.5))
    v = g.input(4)  # the transpose of a vector is the vector
    g.output(g.node("FusedMatMul", v.array @ a.array, v, a, domain=MS, transA=1))
    g.output(g.node("FusedMatMul", b.array @ v.array, b, v, domain=MS, transB=1))
    # Zero points may be left out.
    signed = g.random.integers(-90, 90, (3, 4)).astype("int8")
    y = np.where(signed < 0, 0.2 * signed, signed) * 0.03 / 0.031
    g.output(g.node("QLinearLeakyRelu", np.rint(y).astype("int8"), g.given(signed),
                    g.weight(values=np.float32(0.03)), "", g.weight(values=np.float32(0.031)),
                    domain=MS, alpha=0.2))
    g.output(g.node("Trilu", np.tril(x.array, 1), x, g.ints(1), domain=MS, upper=0))
    g.output(g.node("GatherND", x.array[[1, 0], [2, 0]], x, g.ints([[1, 2], [0, 0]]), domain=MS))
    g.output(g.node("Range", np.arange(2, 9), g.ints(2), g.ints(9), domain=MS))
    return g


def quantized(x):
    """x (of f32) around its zero point, and the scale that its range gives."""
    top, bottom = max(x.max(initial=0), 0), min(x.min(initial=0), 0)
    scale = np.float32((top - bottom) / np.float32(255)) or np.float32(1)
    zero = np.clip(np.rint(-bottom / scale), 0, 255)
    return np.clip(np.rint(x / scale) + zero, 0, 255) - zero, float(scale)


def lstm_pass(x, w, r, bias, h, c, peepholes, lengths, clip, input_forget):
    """One direction: y [T, B, H] and the last states. Weights are (integers, scale)."""
    batch, size = h.shape
    x = np.where(np.arange(len(x))[:, None, None] < lengths.max(), x, 0)
    whole, scale = quantized(x.astype("float32"))
    inputs = whole @ w[0] * (scale * w[1]) + bias
    out, y = h, np.zeros((len(x), batch, size))

    def sigmoid(value):
        return 1 / (1 + np.exp(-np.clip(value, -clip, clip)))

    for t in range(len(x)):
        whole, scale = quantized(out.astype("float32"))
        i, o, f, g = np.split(inputs[t] + whole @ r[0] * (scale * r[1]), 4, -1)
        i = sigmoid(i + peepholes[0] * c)
        f = 1 - i if input_forget else sigmoid(f + peepholes[2] * c)
        cell = f * c + i * np.tanh(np.clip(g, -clip, clip))
        out = sigmoid(o + peepholes[1] * cell) * np.tanh(cell)
        active = (t < lengths)[:, None]
        h, c, out = np.where(active, out, h), np.where(active, cell, c), np.where(active, out, 0)
        y[t] = out
    ended = (lengths == 0)[:, None]
    return y, np.where(ended, 0, h), np.where(ended, 0, c)


def reversed_in_time(x, lengths):
    x = x.copy()
    for b, length in enumerate(lengths):
        x[:length, b] = x[:length, b][::-1]
    return x


def quantized_lstm(**sizes):
    """Directions; scales for all and for each column; with and without what may be omitted."""
    g = Graph("quantized_lstm", 27, **sizes)
    steps, batch, inputs, size = sizes["t"], 3, 5, 6
    for case, (direction, kind, per_column, full) in enumerate(
            [("forward", "int8", False, False), ("reverse", "int8", True, False),
             ("bidirectional", "uint8", False, True), ("bidirectional", "int8", True, True)]):
        count = 2 if direction == "bidirectional" else 1
        low, high, zero = (-100, 100, 3) if kind == "int8" else (0, 200, 90)
        zero = 0 if per_column else zero
        scales = (count, 4 * size) if per_column else (count,)
        with g.case(f"lstm_{case}"):
            x = g.input("t", batch, inputs)
            matrices, quants = [], []
            for rows in (inputs, size):
                values = g.weights.integers(low, high, (count, rows, 4 * size)).astype(kind)
                scale = g.weights.uniform(0.002, 0.01, scales).astype("float32")
                matrices.append((values.astype("int64") - zero, scale.astype("float64"),
                                 g.weight(values=values)))
                quants += [g.weight(values=scale), g.weight(values=np.full(scales, zero, kind))]
            given, optional = np.full(batch, steps, "int32"), ["", "", "", "", ""]
            bias, peepholes = np.zeros((count, 8 * size)), np.zeros((count, 3 * size))
            h = c = np.zeros((count, batch, size))
            if full:
                given = np.array([steps, 0, (steps + 1) // 2], "int32")
                optional = [g.weight(count, 8 * size), g.given(given), g.input(count, batch, size),
                            g.input(count, batch, size), g.weight(count, 3 * size)]
                bias, _, h, c, peepholes = (value.array for value in optional)
            results = [[], [], []]
            for d in range(count):
                back = direction == "reverse" or d == 1
                data = reversed_in_time(x.array, given) if back else x.array
                y, *states = lstm_pass(
                    data, *((values[d], scale[d]) for values, scale, _ in matrices),
                    bias[d, :4 * size] + bias[d, 4 * size:], h[d], c[d],
                    np.split(peepholes[d], 3), given, 0.9 if full else np.inf, case == 3)
                results[0].append(reversed_in_time(y, given) if back else y)
                results[1].append(states[0])
                results[2].append(states[1])
            attributes = {"clip": 0.9, "input_forget": int(case == 3)} if full else {}
            outputs = g.nodes("DynamicQuantizeLSTM",
                              [np.stack(part, 1 if i == 0 else 0)
                               for i, part in enumerate(results)],
                              x, matrices[0][2], matrices[1][2], *optional, *quants, domain=MS,
                              hidden_size=size, direction=direction, **attributes)
            g.output(outputs[0], ["t", count, batch, size])
            g.output(outputs[1])
            g.output(outputs[2])
    return g


STATIC = [projected_attention, multi_head, group_queries, embeddings, few_bits, integer_products, older_forms]
DYNAMIC = [(dynamic_group_queries, [{"batch": 1, "queries": 1, "past": 3},
                                    {"batch": 3, "queries": 2, "past": 5}]),
           (quantized_lstm, [{"t": 4}, {"t": 1}])]
