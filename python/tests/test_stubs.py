"""The type stubs describe the module that is there."""

import ast
import inspect

from conftest import ROOT

from vta import _vta

STUBS = ast.parse((ROOT / "python" / "vta" / "_vta.pyi").read_text())


def functions(body):
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def public(names):
    return {name for name in names if not name.startswith("_")}


def test_names():
    (module,) = (node for node in STUBS.body if isinstance(node, ast.ClassDef))
    assert functions(module.body).keys() == public(dir(_vta.Module))
    assert {module.name, *functions(STUBS.body)} == public(dir(_vta))


def test_arguments():
    for name, stub in functions(STUBS.body).items():
        given = list(inspect.signature(getattr(_vta, name)).parameters)
        arguments = stub.args.args + stub.args.kwonlyargs
        assert [argument.arg for argument in arguments] == given, name


def test_documented():
    for owner in [_vta, _vta.Module]:
        for name in public(dir(owner)):
            assert getattr(owner, name).__doc__, name
