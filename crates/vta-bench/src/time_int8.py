"""Times a float ONNX network in onnxruntime as int8, on one thread.

Usage: time_int8.py MODEL.onnx SCRATCH_DIR REPEAT

The network is quantized as onnxruntime's users do it: QDQ format, signed weights with a scale for each
channel, unsigned activations, ranges from a few inputs of noise. Prints seconds of the fastest inference.
"""

import os
import sys
import time

import numpy
import onnx
import onnxruntime
from onnxruntime import quantization


class Noise(quantization.CalibrationDataReader):
    def __init__(self, inputs):
        random = numpy.random.default_rng(1)
        draw = lambda shape: random.uniform(-1, 1, shape).astype(numpy.float32)
        self.runs = iter([{name: draw(shape) for name, shape in inputs.items()} for _ in range(2)])

    def get_next(self):
        return next(self.runs, None)


def main(model, scratch, repeat):
    inputs = {
        value.name: [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        for value in onnx.load(model).graph.input
    }
    prepared, quantized = (os.path.join(scratch, name) for name in ("prepared.onnx", "int8.onnx"))
    quantization.quant_pre_process(model, prepared, skip_symbolic_shape=True)
    quantization.quantize_static(
        prepared,
        quantized,
        Noise(inputs),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(quantized, options, providers=["CPUExecutionProvider"])
    feed = Noise(inputs).get_next()
    best = float("inf")
    for _ in range(int(repeat)):
        start = time.perf_counter()
        session.run(None, feed)
        best = min(best, time.perf_counter() - start)
    print(best)


main(*sys.argv[1:])
