"""The digits network, and the command line to compare with."""

import json
import os
import subprocess
from pathlib import Path

import numpy
import pytest

import vta

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "models" / "digits"
SAMPLE = DIGITS / "samples" / "digit_3_0.png"
#: How the network wants to be compiled, in the words of Python and of the command line.
ARGUMENTS = {"calibration": DIGITS / "calib", "scale": 1 / 255}
FLAGS = ["--calib", DIGITS / "calib", "--scale", "1/255"]


@pytest.fixture(scope="session")
def digits():
    return vta.compile(DIGITS / "digits.onnx", **ARGUMENTS)


@pytest.fixture(scope="session")
def images():
    return numpy.load(DIGITS / "test" / "x.npy")


@pytest.fixture(scope="session")
def command():
    """Runs `vta` (the program that VTA_BIN names) and gives its JSON."""
    program = os.environ.get("VTA_BIN")
    if program is None:
        pytest.skip("VTA_BIN does not name the vta program")

    def run(*arguments):
        done = subprocess.run([program, *arguments, "--json"], check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def data():
    """The folder of models and data sets."""
    folder = Path(os.environ.get("VTA_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "models").is_dir():
        pytest.skip(f"there is no {folder}")
    return folder
