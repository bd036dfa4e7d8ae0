"""Compiler, runtime and simulator for the VTA tensor accelerator.

    import numpy, vta
    module = vta.compile("model.onnx", calibration=numpy.load("typical.npy"), scale=1 / 255)
    print(module.run(numpy.load("x.npy")))
"""

from ._error import Error, InputError, LimitError
from ._vta import Module, __version__, compile, load

__all__ = ["Error", "InputError", "LimitError", "Module", "__version__", "compile", "load"]
