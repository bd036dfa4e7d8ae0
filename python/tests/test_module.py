"""Compiled networks: arrays in and out, files, designs, threads."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest
from conftest import ARGUMENTS, DIGITS, SAMPLE

import vta


def test_accuracy(digits, images):
    truth = numpy.load(DIGITS / "test" / "y.npy")
    assert (digits.run(images).argmax(axis=1) == truth).mean() > 0.97


def test_many_are_as_one_by_one(digits, images):
    together = digits.run(images[:5])
    macs = digits.counters["macs"]
    singly = [digits.run(image) for image in images[:5]]
    assert numpy.array_equal(together, numpy.concatenate(singly))
    assert macs == 5 * digits.counters["macs"] > 0


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"])
def test_every_element_type(digits, images, dtype):
    expected = digits.run(images[0])
    assert numpy.array_equal(digits.run(images[0].astype(dtype)), expected)


def test_memory_order_does_not_matter(digits, images):
    expected = digits.run(images[:3])
    assert numpy.array_equal(digits.run(numpy.asfortranarray(images[:3])), expected)
    assert numpy.array_equal(digits.run(images[2::-1])[::-1], expected)
    assert numpy.array_equal(digits.run(images[:3].tolist()), expected)


def test_saved_and_loaded(digits, tmp_path):
    digits.save(tmp_path / "m.vta")
    loaded = vta.load(tmp_path / "m.vta")
    assert numpy.array_equal(loaded.run(SAMPLE), digits.run(SAMPLE))
    for name in ["name", "config", "notes", "placement", "labels", "inputs", "outputs"]:
        assert getattr(loaded, name) == getattr(digits, name)


def test_model_from_bytes_and_calibration_from_an_array(digits):
    module = vta.compile(
        (DIGITS / "digits.onnx").read_bytes(),
        numpy.load(DIGITS / "calib" / "x.npy"),
        scale=1 / 255,
        mean=0,
        std=[1],
        labels=[f"digit {i}" for i in range(10)],
    )
    assert numpy.array_equal(module.run(SAMPLE), digits.run(SAMPLE))
    assert module.labels[3] == "digit 3"


def test_designs(digits, tmp_path):
    """What a design changes is how, not what."""
    blocks = {"LOG_BLOCK": 3, "LOG_BLOCK_IN": 3, "LOG_BLOCK_OUT": 3}
    buffers = {"LOG_INP_BUFF_SIZE": 12, "LOG_WGT_BUFF_SIZE": 14, "LOG_ACC_BUFF_SIZE": 13}
    config = {**digits.config, **blocks, **buffers, "LOG_UOP_BUFF_SIZE": 9}
    path = tmp_path / "vta_config.json"
    path.write_text(json.dumps(config))
    for given in ["pynq", config, path]:
        module = vta.compile(DIGITS / "digits.onnx", config=given, **ARGUMENTS)
        assert numpy.array_equal(module.run(SAMPLE), digits.run(SAMPLE))
    assert module.config == config
    assert module.counters["gemm_ops"] > digits.counters["gemm_ops"]


def test_synthetic_calibration_says_so():
    module = vta.compile(DIGITS / "digits.onnx", "synthetic:7")
    assert "synthetic noise of seed 7" in module.notes["quantization"]


def test_description(digits):
    assert digits.name == "digits"
    assert digits.inputs == [("image", "f32", [1, 1, 8, 8])]
    assert digits.outputs == [("logits", "f32", [1, 10])]
    assert {step["device"] for step in digits.placement} == {"host", "vta"}


def test_threads_share_a_module(digits, images):
    expected = digits.run(images[:8])
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(digits.run, images[:8]))
    assert numpy.array_equal(numpy.concatenate(results), expected)


def test_results_are_the_callers(digits):
    first = digits.run(SAMPLE)
    kept = first.copy()
    first += 1
    assert numpy.array_equal(digits.run(SAMPLE), kept)
