# Operators on regions and windows of images, determinants, linear attention, random numbers.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""As operator_cases.py."""
import itertools

import numpy as np

from tracer import Graph


def bilinear(image, y, x):
    """A pixel between pixels of [C, H, W], zero outside."""
    result = 0
    for cy, cx in itertools.product((0, 1), (0, 1)):
        iy, ix = int(np.floor(y)) + cy, int(np.floor(x)) + cx
        weight = (1 - abs(y - iy)) * (1 - abs(x - ix))
        if 0 <= iy < image.shape[1] and 0 <= ix < image.shape[2]:
            result = result + weight * image[:, iy, ix]
    return result + np.zeros(len(image))


def roi_align(x, rois, batch, height, width, ratio, scale, half_pixel, mode):
    result = np.zeros((len(rois), x.shape[1], height, width))
    for r, roi in enumerate(rois):
        x1, y1, x2, y2 = roi * scale - (0.5 if half_pixel else 0)
        sizes = [y2 - y1, x2 - x1]
        if not half_pixel:
            sizes = [max(size, 1) for size in sizes]
        step = [sizes[0] / height, sizes[1] / width]
        count = [ratio or int(np.ceil(s)) for s in step]
        image = x[batch[r]]
        for i, j in itertools.product(range(height), range(width)):
            samples = []
            for a, b in itertools.product(range(count[0]), range(count[1])):
                y = y1 + (i + (a + 0.5) / count[0]) * step[0]
                z = x1 + (j + (b + 0.5) / count[1]) * step[1]
                if not (-1 <= y <= image.shape[1] and -1 <= z <= image.shape[2]):
                    samples.append(np.zeros((4, len(image))))
                    continue
                y, z = np.clip(y, 0, image.shape[1] - 1), np.clip(z, 0, image.shape[2] - 1)
                parts = []
                for cy, cx in itertools.product((0, 1), (0, 1)):
                    iy, ix = int(y) + cy, int(z) + cx
                    weight = ((1 - abs(y - iy)) * (1 - abs(z - ix)))
                    iy, ix = min(iy, image.shape[1] - 1), min(ix, image.shape[2] - 1)
                    parts.append(weight * image[:, iy, ix])
                samples.append(np.array(parts))
            if samples:
                result[r, :, i, j] = (np.mean([p.sum(0) for p in samples], 0) if mode == "avg"
                                      else np.max([p.max(0) for p in samples], 0))
    return result


def max_roi_pool(x, rois, height, width, scale):
    result = np.zeros((len(rois), x.shape[1], height, width))
    for r, roi in enumerate(rois):
        corners = np.trunc(roi[1:] * scale + np.copysign(0.5, roi[1:]))
        start, size = corners[1::-1], np.maximum(corners[3:1:-1] - corners[1::-1] + 1, 1)
        for i, j in itertools.product(range(height), range(width)):
            place = np.array([i, j])
            step = size / [height, width]
            low = np.clip(np.floor(place * step) + start, 0, x.shape[2:]).astype(int)
            high = np.clip(np.ceil((place + 1) * step) + start, 0, x.shape[2:]).astype(int)
            part = x[int(roi[0]), :, low[0]:high[0], low[1]:high[1]]
            if part.size:
                result[r, :, i, j] = part.max((1, 2))
    return result


def non_max_suppression(boxes, scores, most, iou, least, center):
    def corners(box):
        if center:
            return [*(box[:2] - box[2:] / 2), *(box[:2] + box[2:] / 2)]
        return [*np.minimum(box[:2], box[2:]), *np.maximum(box[:2], box[2:])]

    def overlap(a, b):
        a, b = corners(a), corners(b)
        sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1)]
        if min(sides) <= 0:
            return 0
        common = sides[0] * sides[1]
        areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
        return common / (sum(areas) - common)

    kept = []
    for b, c in itertools.product(*map(range, scores.shape[:2])):
        mine = []
        for n in np.argsort(-scores[b, c], kind="stable"):
            if scores[b, c, n] > least and len(mine) < most and all(
                    overlap(boxes[b, n], boxes[b, m]) <= iou for m in mine):
                mine.append(n)
        kept += [[b, c, n] for n in mine]
    return np.array(kept, dtype="int64").reshape(-1, 3)


def regions(**sizes):
    g = Graph("regions", opset=16, **sizes)
    n, x = sizes["n"], g.input(2, 3, 6, 7)
    corners = np.sort(g.random.uniform(-2, 14, (n, 2, 2)), axis=1).reshape(n, 4)
    corners = corners.astype("float32").astype("float64")
    rois = g.given(corners, ("n", 4))
    batch = g.given(g.random.integers(0, 2, n), ("n",))
    for ratio, mode, half, scale in [(0, "avg", 1, 0.5), (2, "max", 1, 0.5), (3, "avg", 0, 1.0),
                                     (0, "max", 0, 0.25), (1, "avg", 1, 2.0)]:
        expected = roi_align(x.array, corners, batch.array, 3, 2, ratio, scale, half, mode)
        g.output(g.node("RoiAlign", expected, x, rois, batch, output_height=3, output_width=2,
                        sampling_ratio=ratio, spatial_scale=scale, mode=mode,
                        coordinate_transformation_mode="half_pixel" if half else
                        "output_half_pixel"), ["n", 3, 3, 2])
    with_batch = np.concatenate([batch.array[:, None].astype("float64"), corners], 1)
    all_rois = g.given(with_batch, ("n", 5))
    for scale in (0.5, 1.0):
        g.output(g.node("MaxRoiPool", max_roi_pool(x.array, with_batch, 2, 3, scale), x, all_rois,
                        pooled_shape=[2, 3], spatial_scale=scale), ["n", 3, 2, 3])
    for center in (0, 1):
        boxes = g.given(g.random.uniform(0, 1, (2, n, 4)).astype("float32").astype("float64"),
                        (2, "n", 4))
        values = np.round(g.random.uniform(0, 1, (2, 3, n)) * 8) / 8  # many are equal
        scores = g.given(values, (2, 3, "n"))
        for most, iou, least in [(2, 0.5, 0.3), (100, 0.1, -1), (n, 0.0, 0.5), (0, 0.5, 0)]:
            expected = non_max_suppression(boxes.array, values, most, iou, least, center)
            g.output(g.node("NonMaxSuppression", expected, boxes, scores, g.given(np.int64(most)),
                            g.weight(values=np.float64(iou)), g.given(np.float64(least)),
                            center_point_box=center), [f"kept{len(g.outputs)}", 3])
    return g


def col2im(x, image, block, strides, pads, dilations):
    rank, (batch, rows, _) = len(image), x.shape
    result = np.zeros((batch, rows // np.prod(block), *image))
    counts = [(image[i] + pads[i] + pads[rank + i] - (block[i] - 1) * dilations[i] - 1)
              // strides[i] + 1 for i in range(rank)]
    blocks = x.reshape(batch, -1, *block, *counts)
    for place in itertools.product(*map(range, block)):
        for at in itertools.product(*map(range, counts)):
            pixel = [at[i] * strides[i] + place[i] * dilations[i] - pads[i] for i in range(rank)]
            if all(0 <= p < size for p, size in zip(pixel, image)):
                result[(slice(None), slice(None), *pixel)] += blocks[
                    (slice(None), slice(None), *place, *at)]
    return result


def deform_conv(x, w, offset, bias, mask, strides, pads, dilations, group, offset_group):
    kernel, out = w.shape[2:], offset.shape[2:]
    batch, channels = x.shape[:2]
    shift = offset.reshape(batch, offset_group, *kernel, 2, *out)
    factor = mask.reshape(batch, offset_group, *kernel, *out)
    result = np.zeros((batch, len(w), *out))
    per_group, per_offset = channels // group, channels // offset_group
    for b, i, j in itertools.product(range(batch), *map(range, out)):
        for ky, kx in itertools.product(*map(range, kernel)):
            sample = np.zeros(channels)
            for o in range(offset_group):
                dy, dx = shift[b, o, ky, kx, :, i, j]
                part = slice(o * per_offset, (o + 1) * per_offset)
                sample[part] = factor[b, o, ky, kx, i, j] * bilinear(
                    x[b, part], i * strides[0] - pads[0] + ky * dilations[0] + dy,
                    j * strides[1] - pads[1] + kx * dilations[1] + dx)
            for f in range(len(w)):
                first = f // (len(w) // group) * per_group
                result[b, f, i, j] += w[f, :, ky, kx] @ sample[first:first + per_group]
    return result + bias[:, None, None]


def windows(**sizes):
    g = Graph("windows", opset=19, **sizes)
    n = sizes["n"]
    for image, block, strides, pads, dilations in [
            ((5, 6), (2, 3), (1, 2), (0, 1, 1, 0), (2, 1)), ((7,), (3,), (2,), (1, 1), (1,)),
            ((4, 3, 5), (2, 1, 2), (1, 1, 1), (0,) * 6, (1, 1, 2))]:
        rank = len(image)
        count = np.prod([(image[i] + pads[i] + pads[rank + i] - (block[i] - 1) * dilations[i] - 1)
                         // strides[i] + 1 for i in range(rank)])
        for constant in (0, 1):
            x = g.input("n", int(2 * np.prod(block)), int(count))
            make = g.ints if constant else lambda values: g.given(np.int64(values))
            expected = col2im(x.array, image, block, strides, pads, dilations)
            g.output(g.node("Col2Im", expected, x, make(image), make(block), strides=list(strides),
                            pads=list(pads), dilations=list(dilations)),
                     ["n", 2, *(image if constant else [f"i{len(g.outputs)}_{i}"
                                                        for i in range(rank)])])
    for group, offset_group, strides, dilations in [(1, 1, (1, 1), (1, 1)), (2, 4, (2, 1), (1, 2)),
                                                    (4, 2, (1, 2), (2, 1))]:
        x, w, bias = g.input("n", 4, 6, 7), g.weight(8, 4 // group, 2, 3), g.weight(8)
        pads = (1, 0, 0, 1)
        out = [(size + pads[i] + pads[i + 2] - (k - 1) * dilations[i] - 1) // strides[i] + 1
               for i, (size, k) in enumerate(zip((6, 7), (2, 3)))]
        offset = g.given(3 * g.input("n", offset_group * 12, *out).array.astype("float32"),
                         ("n", offset_group * 12, *out))
        offset.array = offset.array.astype("float64")
        mask = g.input("n", offset_group * 6, *out)
        expected = deform_conv(x.array, w.array, offset.array, bias.array, mask.array, strides, pads,
                               dilations, group, offset_group)
        g.output(g.node("DeformConv", expected, x, w, offset, bias, mask, strides=list(strides),
                        pads=list(pads), dilations=list(dilations), group=group,
                        offset_group=offset_group), ["n", 8, *out])
    for order in (1, 2, 3, 5):
        x = g.input("n", 2, order, order)
        g.output(g.node("Det", np.linalg.det(x.array), x), ["n", 2])
    x = g.input("n", "n")
    g.output(g.node("Det", np.linalg.det(x.array), x), [])
    g.output(g.node("Det", np.float64(-6), g.weight(values=[[0.0, 2.0], [3.0, 7.0]])), [])
    g.output(g.node("Det", np.float64(0), g.weight(values=[[0.0, 0.0], [3.0, 7.0]])), [])
    # Where sizes or scales are known when running only, as where they are constants.
    x = g.input("n", 1, 9, 8)
    for mode in ("linear", "cubic"):
        for size in ([4, 5], [3, 13], [9, 2]):
            target = [n, 1, *size]
            constant = g.node("Resize", np.zeros(target), x, "", "",
                              g.ints([1, 1, *size][2:]), mode=mode, antialias=1, axes=[2, 3],
                              exclude_outside=int(mode == "cubic"))
            given = g.node("Resize", np.zeros(target), x, "", "", g.given(np.int64(size)),
                           mode=mode, antialias=1, axes=[2, 3],
                           exclude_outside=int(mode == "cubic"))
            same = g.node("Less", np.ones(target, bool),
                          g.node("Abs", np.zeros(target), g.sub(constant, given)),
                          g.weight(values=np.float64(1e-5)))
            g.output(same, ["n", 1, *size])
    return g


def linear_attention(**sizes):
    g = Graph("linear_attention", opset=27, **sizes)
    steps = sizes["t"]
    for rule, heads, group, per_head in [("linear", 1, 1, 0), ("gated", 2, 3, 1), ("delta", 2, 1, 0),
                                         ("gated_delta", 3, 2, 0), ("gated_delta", 2, 1, 1)]:
        q, k, v = g.input(2, "t", heads * group * 4), g.input(2, "t", heads * 4), g.input(
            2, "t", heads * 5)
        state = g.input(2, heads, 4, 5)
        decay = g.input(2, "t", heads * (1 if per_head else 4)) if "gated" in rule else None
        beta = g.input(2, "t", 1 if per_head else heads) if "delta" in rule else None
        held, out = state.array.copy(), np.zeros((2, steps, heads, group, 5))
        for t in range(steps):
            key, value = (a.array[:, t].reshape(2, heads, -1) for a in (k, v))
            if decay:
                held = held * np.exp(decay.array[:, t].reshape(2, heads, -1))[..., None]
            if beta:
                known = np.einsum("bhkv,bhk->bhv", held, key)
                value = beta.array[:, t][..., None] * (value - known)
            held = held + key[..., None] * value[..., None, :]
            query = q.array[:, t].reshape(2, heads, group, 4)
            out[:, t] = np.einsum("bhgk,bhkv->bhgv", query, held) / 2
        names = g.model.node("LinearAttention", *[
            a.name if a else "" for a in (q, k, v, state, decay, beta)][:6 if beta else
                                                                         5 if decay else 4],
            results=2, q_num_heads=heads * group, kv_num_heads=heads, update_rule=rule)
        g.output(type(q)(names[0], out.reshape(2, steps, heads * group * 5)), [2, "t", heads * group * 5])
        g.output(type(q)(names[1], held))
    return g


def random_numbers(**sizes):
    """Their statistics; and that other seeds, and other nodes, give others."""
    g = Graph("random_numbers", opset=22, **sizes)

    def near(x, value, distance):
        off = g.node("Abs", np.zeros(x.shape), g.sub(x, g.weight(values=np.float64(value))))
        g.output(g.node("Less", np.ones(x.shape, bool), off, g.weight(values=np.float64(distance))))

    def statistics(x, mean, variance):
        x = g.node("Cast", x.array.astype("float64"), x, to=1)
        near(g.node("ReduceMean", np.float64(0), x, keepdims=0), mean, 0.03)
        centred = g.sub(x, g.weight(values=np.float64(mean)))
        near(g.node("ReduceMean", np.float64(0), g.mul(centred, centred), keepdims=0), variance,
             0.05)

    zeros = np.zeros((100, 100))
    for dtype in (1, 10, 11):
        statistics(g.node("RandomUniform", zeros, shape=[100, 100], dtype=dtype, low=1.0,
                          high=3.0), 2, 1 / 3)
        statistics(g.node("RandomNormal", zeros, shape=[100, 100], dtype=dtype, mean=-1.0,
                          scale=0.5, seed=3.0), -1, 0.25)
    like = g.given(zeros + 0.25, ("m", 100))
    for _ in range(2):
        statistics(g.node("RandomNormalLike", zeros, like), 0, 1)
        statistics(g.node("RandomUniformLike", zeros, like), 0.5, 1 / 12)
        statistics(g.node("Bernoulli", zeros, like), 0.25, 0.1875)
    a, b = (g.node("RandomUniform", zeros, shape=[100, 100], seed=seed) for seed in (1.0, 2.0))
    statistics(g.sub(a, b), 0, 1 / 6)
    statistics(g.node("Multinomial", zeros, g.given(np.log([[0.5, 0.5, 1e-9, 1]] * 5)),
                      sample_size=3000, dtype=7), 1.75, 1.6875)
    for training, mean, variance in ((False, 0.25, 0), (True, 0.25, 0.0625 / 3)):
        mode = g.given(np.array(training))
        names = g.model.node("Dropout", like.name, g.given(np.float64(0.25)).name, mode.name,
                             results=2)
        statistics(type(like)(names[0], zeros), mean, variance)
        statistics(type(like)(names[1], zeros > 0), 0.75 if training else 1,
                   0.1875 if training else 0)
    return g


def resize_axis(x, size, axis, mode, coordinates):
    """One axis of a resize, by the formulas of the specification."""
    length = x.shape[axis]
    at = np.arange(size, dtype=np.float64)
    if coordinates == "asymmetric":
        at = at * length / size
    elif coordinates == "align_corners":
        at = at * (length - 1) / max(size - 1, 1)
    else:
        at = (at + 0.5) * length / size - 0.5
    low = np.floor(at).astype(int)
    part = at - low
    if mode == "linear":
        taps = [(low, 1 - part), (low + 1, part)]
    else:
        a = -0.75

        def near(d):
            return ((a + 2) * d - (a + 3)) * d * d + 1

        def far(d):
            return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

        taps = [(low - 1, far(part + 1)), (low, near(part)), (low + 1, near(1 - part)),
                (low + 2, far(2 - part))]
    shape = [size if i == axis else 1 for i in range(x.ndim)]
    return sum(np.take(x, np.clip(index, 0, length - 1), axis) * weight.reshape(shape)
               for index, weight in taps)


def resizes(**sizes):
    """Larger and smaller, rows of pixels and of channels, sizes known when compiling and not."""
    g = Graph("resizes", opset=18, **sizes)
    n = sizes["n"]
    for mode in ("linear", "cubic"):
        for number, coordinates in enumerate(("half_pixel", "asymmetric", "align_corners")):
            for dims, axes, size in (((n, 3, 7, 5), [2, 3], [14, 35]), ((n, 3, 9, 40), [2, 3], [4, 17]),
                                     ((n, 6, 5, 21), [1, 2], [11, 9]), ((n, 37), [1], [90]),
                                     ((n, 1, 3, 4, 5), [2, 3, 4], [5, 4, 16])):
                x = g.input("n", *dims[1:])
                result = x.array
                for axis, length in zip(axes, size):
                    result = resize_axis(result, length, axis, mode, coordinates)
                given = g.ints(size) if number else g.given(np.int64(size))
                g.output(g.node("Resize", result, x, "", "", given, mode=mode, axes=axes,
                                coordinate_transformation_mode=coordinates), ["n", *result.shape[1:]])
    x = g.input("n", 2, 5, 6)
    doubled = resize_axis(resize_axis(x.array, 10, 2, "linear", "half_pixel"), 12, 3, "linear",
                          "half_pixel")
    g.output(g.node("Resize", doubled, x, "", g.weight(values=np.array([1.0, 1, 2, 2])), mode="linear"),
             ["n", 2, 10, 12])
    pixels = g.given(np.random.default_rng(2).integers(0, 200, (n, 2, 4, 5)).astype("uint8"),
                     ("n", 2, 4, 5))
    large = resize_axis(resize_axis(pixels.array, 8, 2, "linear", "asymmetric"), 20, 3, "linear",
                        "asymmetric")
    g.output(g.node("Resize", np.rint(large).astype("uint8"), pixels, "", "", g.ints([8, 20]),
                    mode="linear", axes=[2, 3], coordinate_transformation_mode="asymmetric"),
             ["n", 2, 8, 20])
    return g


STATIC = []
DYNAMIC = [(resizes, [{"n": 2}, {"n": 1}, {"n": 0}]), (regions, [{"n": 5}, {"n": 1}, {"n": 0}, {"n": 20}]),
           (windows, [{"n": 2}, {"n": 1}, {"n": 3}]),
           (linear_attention, [{"t": 3}, {"t": 1}, {"t": 0}]), (random_numbers, [{"m": 100}])]
