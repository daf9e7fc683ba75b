# Small models to measure kernels with on a GPU.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""All operands are inputs, which are made where the models run: a model takes a kilobyte, whatever its sizes."""
import math

from zoo_models.builder import Model

SHORT = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
OPSET = 23

# Rows, columns, what is added up.
PRODUCTS = (
    ((64, 64, 64), ("float32", "float16", "bfloat16")),  # what a launch costs
    ((1024, 1024, 1024), ("float32", "float16", "bfloat16")),
    ((4096, 4096, 4096), ("float32", "float16", "bfloat16")),
    ((8192, 8192, 8192), ("bfloat16",)),
    ((1000, 1003, 1005), ("bfloat16",)),  # no multiples of a tile
    # BERT-base with 128 tokens.
    ((128, 768, 768), ("float32", "float16")),
    ((128, 3072, 768), ("float32", "float16")),
    ((128, 768, 3072), ("float32", "float16")),
    # Llama 2 7B: a prompt, a token.
    ((512, 11008, 4096), ("bfloat16",)),
    ((512, 4096, 11008), ("bfloat16",)),
    ((1, 11008, 4096), ("bfloat16",)),
    ((1, 4096, 11008), ("float16", "bfloat16")),
)
# Batch, channels, height and width, filters, size of the window, stride: those of ResNet-50.
CONVOLUTIONS = (
    (1, 3, 224, 64, 7, 2), (1, 64, 56, 64, 3, 1), (1, 64, 56, 256, 1, 1), (1, 512, 7, 512, 3, 1),
    (8, 64, 56, 64, 3, 1), (8, 128, 28, 128, 3, 1), (8, 256, 14, 256, 3, 1), (8, 1024, 14, 256, 1, 1),
)
# Heads, tokens, width of a head, causal.
ATTENTIONS = ((12, 128, 64, 0), (12, 512, 64, 0), (32, 2048, 128, 1))
ROWS = (4096, 4096)


def _model(name):
    return Model(name, 0, 1, OPSET)


def _products():
    for (m, n, k), dtypes in PRODUCTS:
        for dtype in dtypes:
            model = _model(f"gemm-{SHORT[dtype]}-{m}x{n}x{k}")
            a, b = model.input("a", [m, k], dtype), model.input("b", [k, n], dtype)
            model.node("MatMul", a, b, out="y")
            model.output("y", [m, n], dtype)
            yield model, 2 * m * n * k
    m, n, k = 128, 3072, 768
    model = _model(f"gemm-bias-gelu-f16-{m}x{n}x{k}")
    a, b = model.input("a", [m, k], "float16"), model.input("b", [k, n], "float16")
    bias = model.input("bias", [n], "float16")
    model.node("Gelu", model.node("Add", model.node("MatMul", a, b), bias), out="y")
    model.output("y", [m, n], "float16")
    yield model, 2 * m * n * k


def _convolutions():
    for batch, channels, size, filters, window, stride in CONVOLUTIONS:
        for dtype in ("float32", "float16"):
            model = _model(f"conv-{SHORT[dtype]}-{batch}x{channels}x{size}x{size}-{filters}x{window}x{window}"
                           + (f"-s{stride}" if stride > 1 else ""))
            x = model.input("x", [batch, channels, size, size], dtype)
            w = model.input("w", [filters, channels, window, window], dtype)
            edge, out = window // 2, math.ceil(size / stride)
            model.node("Conv", x, w, out="y", pads=[edge] * 4, strides=[stride] * 2)
            model.output("y", [batch, filters, out, out], dtype)
            yield model, 2 * batch * filters * out * out * channels * window * window


def _attentions():
    for heads, tokens, width, causal in ATTENTIONS:
        model = _model(f"attention-f16-{heads}x{tokens}x{width}" + ("-causal" if causal else ""))
        dims = [1, heads, tokens, width]
        inputs = [model.input(name, dims, "float16") for name in "qkv"]
        model.node("Attention", *inputs, out="y", is_causal=causal)
        model.output("y", dims, "float16")
        yield model, 4 * heads * tokens * tokens * width


def _rows():
    """What memory bounds."""
    rows, width = ROWS
    shape = f"{rows}x{width}"
    makers = {
        "copy": lambda model, x: model.node("Neg", x, out="y"),
        "add": lambda model, x: model.node("Add", x, model.input("b", ROWS), out="y"),
        "gelu": lambda model, x: model.node("Gelu", x, out="y"),
        "softmax": lambda model, x: model.node("Softmax", x, axis=-1, out="y"),
        "layernorm": lambda model, x: model.node("LayerNormalization", x, model.input("scale", [width]),
                                                 model.input("bias", [width]), out="y"),
        "rmsnorm": lambda model, x: model.node("RMSNormalization", x, model.input("scale", [width]), out="y"),
        "transpose": lambda model, x: model.node("Transpose", x, perm=[1, 0], out="y"),
    }
    for name, make in makers.items():
        model = _model(f"{name}-f32-{shape}")
        make(model, model.input("x", ROWS))
        model.output("y", ROWS)
        yield model, rows * width
    for name, dims in (("reducesum", [rows, 1]), ("reducesum-columns", [1, width])):
        model = _model(f"{name}-f32-{shape}")
        x = model.input("x", ROWS)
        model.node("ReduceSum", x, model.constant([1 if dims[1] == 1 else 0]), out="y")
        model.output("y", dims)
        yield model, rows * width


def build():
    """Each model and its floating-point operations, or numbers where it has none to speak of."""
    for family in (_products, _convolutions, _attentions, _rows):
        yield from family()
