"""Mistakes raise exceptions that say what is wrong, where, and what to do."""

import numpy
import pytest
from conftest import ARGUMENTS, DIGITS

import vta

MODEL = DIGITS / "digits.onnx"


def refused(call, *says):
    with pytest.raises(vta.InputError) as raised:
        call()
    error = raised.value
    assert isinstance(error, vta.Error) and isinstance(error, ValueError)
    help = f"\nhelp: {error.help}" if error.help else ""
    assert str(error) == error.message + help
    for words in says:
        assert words in str(error)


def test_no_calibration():
    refused(lambda: vta.compile(MODEL), "must be calibrated", "\nhelp: ", "synthetic:SEED")


def test_files(tmp_path):
    refused(lambda: vta.compile(tmp_path / "none.onnx"), "none.onnx")
    refused(lambda: vta.load(tmp_path / "none.vta"), "none.vta")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(MODEL.read_bytes()[:-100])
    refused(lambda: vta.compile(damaged), "damaged.onnx")
    refused(lambda: vta.compile(b"nothing"))
    refused(lambda: vta.load(damaged), "damaged.onnx")


def test_designs():
    refused(lambda: vta.compile(MODEL, config="pink", **ARGUMENTS), "pink", "pynq")
    refused(lambda: vta.compile(MODEL, config={"LOG_BATCH": 40}, **ARGUMENTS))


def test_calibration():
    refused(lambda: vta.compile(MODEL, "synthetic:x"), "synthetic:x", "synthetic:1")
    refused(lambda: vta.compile(MODEL, numpy.zeros((2, 3))))


def test_labels():
    refused(lambda: vta.compile(MODEL, labels=["one"], **ARGUMENTS), "1 labels", "10 classes")


def test_inputs(digits):
    refused(lambda: digits.run(numpy.zeros((3, 8))), "8")
    refused(lambda: digits.run(numpy.zeros((8, 8), dtype="c8")), "c8")
    refused(lambda: digits.run(numpy.full((8, 8), numpy.nan)), "NaN")
    refused(lambda: digits.run(), "0 inputs")
    refused(lambda: digits.run(MODEL), "digits.onnx")


@pytest.mark.parametrize("arguments", [(), (3,), (None,)])
def test_arguments_of_no_sense(arguments):
    with pytest.raises(TypeError):
        vta.compile(*arguments)
