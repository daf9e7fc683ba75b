# U-Net for segmentation: skip connections, transposed convolution and bilinear upsampling.
# Licensed under Apache-2.0 WITH LLVM-exception.
import math

from .builder import Model
from .layers import batch_norm, conv

SIZES = {
    "unet": dict(image=256, width=32, depth=4, classes=2),
    "tiny-unet": dict(image=32, width=4, depth=2, classes=2),
}


def _double_conv(model, x, in_channels, out_channels):
    for index, channels in ((0, in_channels), (3, out_channels)):
        with model.scope("double_conv", f"double_conv.{index}"):
            x = conv(model, x, channels, out_channels, 3, bias=True)
        with model.scope("double_conv", f"double_conv.{index + 1}"):
            x = batch_norm(model, x, out_channels)
        x = model.node("Relu", x)
    return x


def _transposed(model, x, channels):
    weight = model.normal((channels, channels // 2, 2, 2), math.sqrt(2.0 / channels))
    return model.node("ConvTranspose", x, model.parameter("weight", weight),
                      model.parameter("bias", model.normal(channels // 2, 0.05)),
                      dilations=[1, 1], group=1, kernel_shape=[2, 2], pads=[0] * 4,
                      strides=[2, 2])


def _interpolated(model, x, skip, channels):
    """`interpolate(x, size=skip.shape[2:])`, then a 1x1 convolution that halves the channels."""
    zero, two, four = (model.constant([value]) for value in (0, 2, 4))
    kept = model.node("Slice", model.node("Shape", x), zero, two, zero)
    target = model.node("Slice", model.node("Shape", skip), two, four, zero)
    sizes = model.node("Concat", kept, target, axis=0)
    x = model.node("Resize", x, "", "", sizes, mode="linear",
                   coordinate_transformation_mode="half_pixel", nearest_mode="floor",
                   cubic_coeff_a=-0.75)
    return conv(model, x, channels, channels // 2, 1, bias=True, gain=1.0)


def build(name, seed, batch):
    size = SIZES[name]
    model = Model(name, seed, batch, opset=13)
    x = model.input("input", [model.batch, 3, size["image"], size["image"]])
    width = size["width"]
    with model.scope("inc"):
        x = _double_conv(model, x, 3, width)
    skips = [x]
    for level in range(size["depth"]):
        with model.scope(f"down{level + 1}"):
            x = model.node("MaxPool", x, kernel_shape=[2, 2], pads=[0] * 4, strides=[2, 2])
            x = _double_conv(model, x, width << level, width << level + 1)
        skips.append(x)
    skips.pop()
    for level in reversed(range(size["depth"])):
        channels, skip = width << level + 1, skips.pop()
        with model.scope(f"up{size['depth'] - level}"):
            with model.scope("up"):
                # Both ways of upsampling in one network: the lower half is transposed.
                if 2 * level >= size["depth"]:
                    x = _transposed(model, x, channels)
                else:
                    x = _interpolated(model, x, skip, channels)
            x = model.node("Concat", skip, x, axis=1)
            with model.scope("conv"):
                x = _double_conv(model, x, channels, channels // 2)
    with model.scope("outc"):
        x = conv(model, x, width, size["classes"], 1, bias=True, gain=1.0)
    model.node("Sigmoid", x, out="mask")
    model.output("mask", [model.batch, size["classes"], size["image"], size["image"]])
    return model
