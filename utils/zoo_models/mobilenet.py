# MobileNetV2; batch normalization folded into the convolutions, as PyTorch's exporter does.
# Licensed under Apache-2.0 WITH LLVM-exception.
from .builder import Model
from .layers import conv_attributes, gemm, he_conv

# expansion, channels, repeats, stride of the first
FULL = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
        (6, 320, 1, 1))
SIZES = {
    "mobilenetv2": dict(image=224, stem=32, blocks=FULL, head=1280, classes=1000),
    "tiny-mobilenetv2": dict(image=32, stem=8, blocks=((1, 8, 1, 1), (6, 16, 2, 2)), head=64,
                             classes=10),
}


def _conv(model, x, in_channels, out_channels, kernel, stride=1, depth=False, gain=2.0):
    weight = he_conv(model, out_channels, in_channels, kernel, gain, depth)
    return model.node("Conv", x, model.folded("Conv", weight),
                      model.folded("Conv", model.normal(out_channels, 0.05)),
                      **conv_attributes(kernel, stride, groups=in_channels if depth else 1))


def _relu6(model, x):
    return model.node("Clip", x, model.constant(0.0), model.constant(6.0))


def _inverted_residual(model, x, in_channels, out_channels, expansion, stride):
    y, hidden = x, in_channels * expansion
    with model.scope("conv"):
        if expansion != 1:
            with model.scope("conv.0"):
                y = _relu6(model, _conv(model, y, in_channels, hidden, 1))
        with model.scope("conv.1"):
            y = _relu6(model, _conv(model, y, hidden, hidden, 3, stride, depth=True))
        with model.scope("conv.2"):
            residual = stride == 1 and in_channels == out_channels
            y = _conv(model, y, hidden, out_channels, 1, gain=0.5 if residual else 1.5)
    return model.node("Add", x, y) if residual else y


def build(name, seed, batch):
    size = SIZES[name]
    model = Model(name, seed, batch, opset=11)
    x = model.input("input", [model.batch, 3, size["image"], size["image"]])
    channels, index = size["stem"], 0
    with model.scope("features"):
        with model.scope("features.0"):
            x = _relu6(model, _conv(model, x, 3, channels, 3, 2))
        for expansion, out_channels, repeats, stride in size["blocks"]:
            for repeat in range(repeats):
                index += 1
                with model.scope(f"features.{index}"):
                    x = _inverted_residual(model, x, channels, out_channels, expansion,
                                           1 if repeat else stride)
                channels = out_channels
        with model.scope(f"features.{index + 1}"):
            x = _relu6(model, _conv(model, x, channels, size["head"], 1))
    x = model.node("GlobalAveragePool", x)
    # Opset 11: Reshape with a batch taken from the value itself, not Flatten.
    batch_size = model.node("Gather", model.node("Shape", x), model.constant(0), axis=0)
    rows = model.node("Unsqueeze", batch_size, axes=[0])
    x = model.node("Reshape", x, model.node("Concat", rows, model.constant([-1]), axis=0))
    with model.scope("classifier", "classifier.1"):
        gemm(model, x, size["head"], size["classes"], out="output")
    model.output("output", [model.batch, size["classes"]])
    return model
