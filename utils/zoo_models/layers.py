# Layers that several networks share.
# Licensed under Apache-2.0 WITH LLVM-exception.
import math

import numpy as np


# -- Convolutional networks


def he_conv(model, out_channels, in_channels, kernel, gain=2.0, depth=False):
    """He-initialised convolution weights, [out, in / groups, k, k]."""
    fan_in = kernel * kernel * (1 if depth else in_channels)
    shape = (out_channels, 1 if depth else in_channels, kernel, kernel)
    return model.normal(shape, math.sqrt(gain / fan_in))


def conv_attributes(kernel, stride=1, padding=None, groups=1, dilation=1):
    padding = (kernel - 1) // 2 * dilation if padding is None else padding
    return dict(dilations=[dilation] * 2, group=groups, kernel_shape=[kernel] * 2,
                pads=[padding] * 4, strides=[stride] * 2)


def conv(model, x, in_channels, out_channels, kernel, stride=1, depth=False, bias=False,
         gain=2.0):
    """A convolution; `depth` makes it depthwise."""
    inputs = [x, model.parameter("weight", he_conv(model, out_channels, in_channels, kernel, gain,
                                                   depth))]
    if bias:
        inputs.append(model.parameter("bias", model.normal(out_channels, 0.05)))
    groups = in_channels if depth else 1
    return model.node("Conv", *inputs, **conv_attributes(kernel, stride, groups=groups))


def batch_norm(model, x, channels, scale=1.0, epsilon=1e-5):
    """BatchNormalization with statistics as after training."""
    return model.node(
        "BatchNormalization", x,
        model.parameter("weight", model.uniform(channels, 0.8, 1.2) * np.float32(scale)),
        model.parameter("bias", model.normal(channels, 0.1)),
        model.parameter("running_mean", model.normal(channels, 0.1)),
        model.parameter("running_var", model.uniform(channels, 0.7, 1.4)),
        epsilon=epsilon, momentum=0.9)


def swish(model, x):
    return model.node("Mul", x, model.node("Sigmoid", x))


# -- Linear layers


def linear(model, x, in_features, out_features, gain=1.0, bias=True, out=None):
    """MatMul with a transposed weight, then Add: what `nn.Linear` on rank 3 becomes."""
    weight = model.normal((in_features, out_features), math.sqrt(gain / in_features))
    if not bias:
        return model.node("MatMul", x, model.folded("MatMul", weight), out=out)
    product = model.node("MatMul", x, model.folded("MatMul", weight))
    return model.node("Add", model.parameter("bias", model.normal(out_features, 0.05)), product,
                      out=out)


def gemm(model, x, in_features, out_features, gain=1.0, out=None):
    """Gemm with transB: what `nn.Linear` on rank 2 becomes."""
    weight = model.normal((out_features, in_features), math.sqrt(gain / in_features))
    return model.node("Gemm", x, model.parameter("weight", weight),
                      model.parameter("bias", model.normal(out_features, 0.05)),
                      alpha=1.0, beta=1.0, transB=1, out=out)


# -- Transformers


def norm_parameters(model, features):
    return (model.parameter("weight", model.uniform(features, 0.8, 1.2)),
            model.parameter("bias", model.normal(features, 0.1)))


def layer_norm(model, x, features, epsilon=1e-5, out=None):
    """Layer normalization in primitive nodes, as exported below opset 17."""
    weight, bias = norm_parameters(model, features)
    mean = model.node("ReduceMean", x, axes=[-1], keepdims=1)
    centered = model.node("Sub", x, mean)
    square = model.node("Pow", centered, model.constant(2.0))
    variance = model.node("ReduceMean", square, axes=[-1], keepdims=1)
    deviation = model.node("Sqrt", model.node("Add", variance, model.constant(epsilon)))
    scaled = model.node("Mul", model.node("Div", centered, deviation), weight)
    return model.node("Add", scaled, bias, out=out)


def gelu_erf(model, x):
    """x / 2 * (1 + erf(x / sqrt 2)) in primitive nodes."""
    error = model.node("Erf", model.node("Div", x, model.constant(math.sqrt(2.0))))
    shifted = model.node("Add", error, model.constant(1.0))
    return model.node("Mul", model.node("Mul", x, shifted), model.constant(0.5))


def gelu_tanh(model, x):
    """The tanh approximation of GELU in primitive nodes."""
    half = model.node("Mul", x, model.constant(0.5))
    cubed = model.node("Mul", model.node("Pow", x, model.constant(3.0)), model.constant(0.044715))
    inner = model.node("Mul", model.node("Add", x, cubed),
                       model.constant(math.sqrt(2.0 / math.pi)))
    return model.node("Mul", half, model.node("Add", model.node("Tanh", inner),
                                              model.constant(1.0)))
