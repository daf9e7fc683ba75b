# EfficientNet-B0: depthwise convolutions, squeeze and excitation, swish.
# Licensed under Apache-2.0 WITH LLVM-exception.
from .builder import Model
from .layers import batch_norm, conv, gemm, swish

# expansion, channels, repeats, stride of the first, kernel
B0 = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
      (6, 192, 4, 2, 5), (6, 320, 1, 1, 3))
SIZES = {
    "efficientnet-b0": dict(image=224, stem=32, blocks=B0, head=1280, classes=1000),
    "tiny-efficientnet-b0": dict(image=32, stem=8, head=64, classes=10,
                                 blocks=((1, 8, 1, 1, 3), (6, 16, 2, 2, 5))),
}
# Between the gains that keep the variance for large values (2, as ReLU) and small ones (4).
GAIN = 2.4


def _conv_bn(model, x, name, in_channels, out_channels, kernel, stride=1, depth=False, scale=1.0):
    with model.scope(name, "conv"):
        x = conv(model, x, in_channels, out_channels, kernel, stride, depth, gain=GAIN)
    with model.scope(name, "bn"):
        return batch_norm(model, x, out_channels, scale, epsilon=1e-3)


def _squeeze_excite(model, x, channels, squeezed):
    y = model.node("ReduceMean", x, axes=[2, 3], keepdims=1)
    with model.scope("conv_reduce"):
        y = conv(model, y, channels, squeezed, 1, bias=True)
    y = swish(model, y)
    with model.scope("conv_expand"):
        y = conv(model, y, squeezed, channels, 1, bias=True)
    return model.node("Mul", x, model.node("Sigmoid", y))


def _block(model, x, in_channels, out_channels, expansion, stride, kernel):
    y, hidden = x, in_channels * expansion
    if expansion != 1:
        y = swish(model, _conv_bn(model, y, "expand", in_channels, hidden, 1))
    y = swish(model, _conv_bn(model, y, "depthwise", hidden, hidden, kernel, stride, depth=True))
    with model.scope("se"):
        y = _squeeze_excite(model, y, hidden, max(1, in_channels // 4))
    residual = stride == 1 and in_channels == out_channels
    y = _conv_bn(model, y, "project", hidden, out_channels, 1, scale=0.45 if residual else 1.45)
    return model.node("Add", y, x) if residual else y


def build(name, seed, batch):
    size = SIZES[name]
    model = Model(name, seed, batch, opset=13)
    x = model.input("input", [model.batch, 3, size["image"], size["image"]])
    channels, index = size["stem"], 0
    x = swish(model, _conv_bn(model, x, "stem", 3, channels, 3, 2))
    for expansion, out_channels, repeats, stride, kernel in size["blocks"]:
        for repeat in range(repeats):
            with model.scope("blocks", f"blocks.{index}"):
                x = _block(model, x, channels, out_channels, expansion, 1 if repeat else stride,
                           kernel)
            channels, index = out_channels, index + 1
    x = swish(model, _conv_bn(model, x, "head", channels, size["head"], 1))
    x = model.node("GlobalAveragePool", x)
    x = model.node("Flatten", x, axis=1)
    with model.scope("classifier"):
        gemm(model, x, size["head"], size["classes"], out="output")
    model.output("output", [model.batch, size["classes"]])
    return model
