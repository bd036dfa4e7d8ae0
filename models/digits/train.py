#!/usr/bin/env python3
"""Trains the digits network and writes every other file of this folder.

Needs numpy, onnx, onnxruntime and scikit-learn (for the handwritten digits that it
carries; nothing is downloaded). The network, with B for batch normalization:

    1x8x8 -> conv 3x3 16 B relu -> conv 3x3 16 B relu -> conv 3x3 16 B + skip, relu
          -> conv 3x3 stride 2, 32 B relu -> global average -> dense 10

Arrays are NCHW throughout; a convolution's matrix has the rows (channel, kernel row,
kernel column) and one column per output channel.
"""

import pathlib
import struct
import zlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

FOLDER = pathlib.Path(__file__).parent
SEED = 1
EPOCHS = 60
BATCH = 32
CALIBRATION_IMAGES = 64
SAMPLES_PER_DIGIT = 2
EPSILON = 1e-5


# Layers. Each keeps in `forward` what its `backward` needs; `backward` takes the loss's
# gradient by the output, stores those of the parameters and returns that by the input.


class Conv:
    """3x3, padding 1, no bias (the batch normalization after it has one)."""

    def __init__(self, random, inputs, outputs, stride=1):
        fan_in = inputs * 9
        weight = random.normal(0, np.sqrt(2 / fan_in), (fan_in, outputs))
        self.stride = stride
        self.parameters = [weight.astype(np.float32)]

    def forward(self, x, training):
        n, c, height, width = x.shape
        self.shape, s = x.shape, self.stride
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
        windows = windows[:, :, ::s, ::s]
        self.rows, self.columns = windows.shape[2:4]
        self.patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, c * 9)
        y = self.patches @ self.parameters[0]
        return y.reshape(n, self.rows, self.columns, -1).transpose(0, 3, 1, 2)

    def backward(self, grad):
        n, c, height, width = self.shape
        grad = grad.transpose(0, 2, 3, 1).reshape(-1, grad.shape[1])
        self.gradients = [self.patches.T @ grad]
        patches = (grad @ self.parameters[0].T).reshape(
            n, self.rows, self.columns, c, 3, 3
        )
        padded = np.zeros((n, c, height + 2, width + 2), np.float32)
        s = self.stride
        for i in range(3):
            for j in range(3):
                into = padded[:, :, i : i + s * self.rows : s, j : j + s * self.columns : s]
                into += patches[..., i, j].transpose(0, 3, 1, 2)
        return padded[:, :, 1:-1, 1:-1]

    def kernel(self):
        """The weights as ONNX has them: [outputs, inputs, 3, 3]."""
        weight = self.parameters[0]
        return weight.T.reshape(weight.shape[1], -1, 3, 3)


class BatchNorm:
    def __init__(self, channels):
        self.parameters = [np.ones(channels, np.float32), np.zeros(channels, np.float32)]
        self.mean = np.zeros(channels, np.float32)
        self.var = np.ones(channels, np.float32)

    def forward(self, x, training):
        mean, var = self.mean, self.var
        if training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
            self.mean += 0.1 * (mean - self.mean)
            self.var += 0.1 * (var - self.var)
        self.inv = (1 / np.sqrt(var + EPSILON))[:, None, None]
        self.normal = (x - mean[:, None, None]) * self.inv
        gamma, beta = self.parameters
        return self.normal * gamma[:, None, None] + beta[:, None, None]

    def backward(self, grad):
        axes = (0, 2, 3)
        self.gradients = [(grad * self.normal).sum(axes), grad.sum(axes)]
        grad = grad * self.parameters[0][:, None, None]
        along = (grad * self.normal).mean(axes)[:, None, None]
        return self.inv * (grad - grad.mean(axes)[:, None, None] - self.normal * along)


class Relu:
    parameters = gradients = []

    def forward(self, x, training):
        self.positive = x > 0
        return x * self.positive

    def backward(self, grad):
        return grad * self.positive


class Residual:
    """x + layers(x)."""

    def __init__(self, layers):
        self.layers = layers

    @property
    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters]

    @property
    def gradients(self):
        return [g for layer in self.layers for g in layer.gradients]

    def forward(self, x, training):
        y = x
        for layer in self.layers:
            y = layer.forward(y, training)
        return x + y

    def backward(self, grad):
        through = grad
        for layer in reversed(self.layers):
            through = layer.backward(through)
        return grad + through


class GlobalAverage:
    parameters = gradients = []

    def forward(self, x, training):
        self.shape = x.shape
        return x.mean((2, 3))

    def backward(self, grad):
        height, width = self.shape[2:]
        return np.broadcast_to(grad[:, :, None, None] / (height * width), self.shape)


class Dense:
    def __init__(self, random, inputs, outputs):
        weight = random.normal(0, np.sqrt(1 / inputs), (inputs, outputs))
        self.parameters = [weight.astype(np.float32), np.zeros(outputs, np.float32)]

    def forward(self, x, training):
        self.x = x
        return x @ self.parameters[0] + self.parameters[1]

    def backward(self, grad):
        self.gradients = [self.x.T @ grad, grad.sum(0)]
        return grad @ self.parameters[0].T


def network(random):
    return [
        Conv(random, 1, 16),
        BatchNorm(16),
        Relu(),
        Residual(
            [
                Conv(random, 16, 16),
                BatchNorm(16),
                Relu(),
                Conv(random, 16, 16),
                BatchNorm(16),
            ]
        ),
        Relu(),
        Conv(random, 16, 32, stride=2),
        BatchNorm(32),
        Relu(),
        GlobalAverage(),
        Dense(random, 32, 10),
    ]


def forward(layers, x, training=False):
    for layer in layers:
        x = layer.forward(x, training)
    return x


def preprocess(images):
    """uint8 [N,8,8] to the network's float32 [N,1,8,8]."""
    return (images[:, None] / np.float32(255)).astype(np.float32)


def shifted(random, images):
    """Each image moved by up to one pixel in each direction."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    moves = random.integers(0, 3, (len(images), 2))
    return np.stack([p[i : i + 8, j : j + 8] for p, (i, j) in zip(padded, moves)])


def train(images, labels):
    """Adam on the cross entropy, with a learning rate that falls along a half cosine."""
    random = np.random.default_rng(SEED)
    layers = network(random)
    parameters = [p for layer in layers for p in layer.parameters]
    first = [np.zeros_like(p) for p in parameters]
    second = [np.zeros_like(p) for p in parameters]
    steps = EPOCHS * (len(images) // BATCH)
    step = 0
    for epoch in range(EPOCHS):
        order = random.permutation(len(images))
        total = 0.0
        for start in range(0, len(images) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            x = preprocess(shifted(random, images[chosen]))
            logits = forward(layers, x, training=True)
            odds = np.exp(logits - logits.max(1, keepdims=True))
            odds /= odds.sum(1, keepdims=True)
            picked = np.arange(BATCH), labels[chosen]
            total -= np.log(odds[picked] + 1e-12).mean()
            grad = odds
            grad[picked] -= 1
            grad /= BATCH
            for layer in reversed(layers):
                grad = layer.backward(grad)
            step += 1
            rate = 0.01 * 0.5 * (1 + np.cos(np.pi * step / steps))
            gradients = [g for layer in layers for g in layer.gradients]
            for p, g, m, v in zip(parameters, gradients, first, second):
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                m_hat, v_hat = m / (1 - 0.9**step), v / (1 - 0.999**step)
                p -= (rate * m_hat / (np.sqrt(v_hat) + 1e-8)).astype(np.float32)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:3}: loss {total / (len(images) // BATCH):.4f}")
    return layers


class Exporter:
    """Layers as ONNX nodes, batch normalization kept as it is."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, values):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, op, inputs, **attributes):
        name = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def layer(self, layer, x):
        match layer:
            case Conv():
                weight = self.constant(f"weight_{len(self.nodes)}", layer.kernel())
                s = layer.stride
                return self.node(
                    "Conv",
                    [x, weight],
                    kernel_shape=[3, 3],
                    pads=[1, 1, 1, 1],
                    strides=[s, s],
                )
            case BatchNorm():
                gamma, beta = layer.parameters
                named = dict(gamma=gamma, beta=beta, mean=layer.mean, var=layer.var)
                index = len(self.nodes)
                inputs = [self.constant(f"{k}_{index}", v) for k, v in named.items()]
                return self.node("BatchNormalization", [x, *inputs], epsilon=EPSILON)
            case Relu():
                return self.node("Relu", [x])
            case Residual():
                y = x
                for inner in layer.layers:
                    y = self.layer(inner, y)
                return self.node("Add", [x, y])
            case GlobalAverage():
                return self.node("Flatten", [self.node("GlobalAveragePool", [x])])
            case Dense():
                weight = self.constant("weight_dense", layer.parameters[0].T)
                bias = self.constant("bias_dense", layer.parameters[1])
                return self.node("Gemm", [x, weight, bias], transB=1)
            case _:
                raise TypeError(layer)


def export(layers):
    exporter = Exporter()
    y = "image"
    for layer in layers:
        y = exporter.layer(layer, y)
    exporter.nodes[-1].output[0] = "logits"
    graph = helper.make_graph(
        exporter.nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])],
        exporter.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    model.producer_name = "models/digits/train.py"
    onnx.checker.check_model(model, full_check=True)
    return model


def png(image):
    """An 8-bit grayscale PNG file of a uint8 [height, width] image."""

    def chunk(kind, data):
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    height, width = image.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    lines = b"".join(b"\0" + line.tobytes() for line in image)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines, 9))
        + chunk(b"IEND", b"")
    )


def write(layers, train_images, test_images, test_labels):
    model = export(layers)
    onnx.save(model, FOLDER / "digits.onnx")
    (FOLDER / "labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)))
    for name in ["calib", "test", "samples"]:
        (FOLDER / name).mkdir(exist_ok=True)
    np.save(FOLDER / "calib/x.npy", train_images[:CALIBRATION_IMAGES])
    np.save(FOLDER / "test/x.npy", test_images)
    np.save(FOLDER / "test/y.npy", test_labels.astype(np.uint16))
    for digit in range(10):
        chosen = test_images[test_labels == digit][:SAMPLES_PER_DIGIT]
        for index, image in enumerate(chosen):
            (FOLDER / f"samples/digit_{digit}_{index}.png").write_bytes(png(image))
    return model


def main():
    digits = load_digits()
    # The set has the values 0 to 16: spread over a byte, so that a viewer shows them.
    images = (digits.images * 15).astype(np.uint8)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, digits.target, test_size=0.2, random_state=SEED, stratify=digits.target
    )
    layers = train(train_images, train_labels)
    model = write(layers, train_images, test_images, test_labels)

    session = onnxruntime.InferenceSession(model.SerializeToString())
    inputs = preprocess(test_images)
    logits = np.concatenate([session.run(None, {"image": x[None]})[0] for x in inputs])
    np.testing.assert_allclose(logits, forward(layers, inputs), rtol=1e-3, atol=1e-3)
    right = int((logits.argmax(1) == test_labels).sum())
    print(f"test accuracy {right}/{len(test_labels)} = {right / len(test_labels):.4f}")


if __name__ == "__main__":
    main()
