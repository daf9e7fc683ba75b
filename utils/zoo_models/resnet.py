# ResNet with bottleneck blocks; BatchNormalization kept as nodes.
# Licensed under Apache-2.0 WITH LLVM-exception.
from .builder import Model
from .layers import batch_norm, conv, gemm

SIZES = {
    "resnet50": dict(image=224, stem=64, blocks=(3, 4, 6, 3), classes=1000),
    "tiny-resnet50": dict(image=32, stem=8, blocks=(1, 2), classes=10),
}


def _conv_bn(model, x, conv_name, bn_name, in_channels, out_channels, kernel, stride=1, scale=1.0):
    with model.scope(conv_name):
        x = conv(model, x, in_channels, out_channels, kernel, stride)
    with model.scope(bn_name):
        return batch_norm(model, x, out_channels, scale)


def _bottleneck(model, x, in_channels, width, stride):
    out_channels = 4 * width
    y = model.node("Relu", _conv_bn(model, x, "conv1", "bn1", in_channels, width, 1))
    y = model.node("Relu", _conv_bn(model, y, "conv2", "bn2", width, width, 3, stride))
    # A small last scale keeps the sum over many blocks from growing.
    y = _conv_bn(model, y, "conv3", "bn3", width, out_channels, 1, scale=0.3)
    if stride != 1 or in_channels != out_channels:
        with model.scope("downsample"):
            x = _conv_bn(model, x, "0", "1", in_channels, out_channels, 1, stride, scale=0.7)
    return model.node("Relu", model.node("Add", y, x))


def build(name, seed, batch):
    size = SIZES[name]
    model = Model(name, seed, batch, opset=13)
    x = model.input("input", [model.batch, 3, size["image"], size["image"]])
    channels = size["stem"]
    x = model.node("Relu", _conv_bn(model, x, "conv1", "bn1", 3, channels, 7, 2))
    with model.scope("maxpool"):
        x = model.node("MaxPool", x, ceil_mode=0, kernel_shape=[3, 3], pads=[1] * 4,
                       strides=[2, 2])
    for stage, count in enumerate(size["blocks"]):
        width = size["stem"] << stage
        for index in range(count):
            with model.scope(f"layer{stage + 1}", f"layer{stage + 1}.{index}"):
                stride = 2 if stage and not index else 1
                x = _bottleneck(model, x, channels, width, stride)
            channels = 4 * width
    with model.scope("avgpool"):
        x = model.node("GlobalAveragePool", x)
    x = model.node("Flatten", x, axis=1)
    with model.scope("fc"):
        gemm(model, x, channels, size["classes"], out="output")
    model.output("output", [model.batch, size["classes"]])
    return model
