from collections.abc import Sequence
from os import PathLike
from typing import Any, Union, final

from numpy.typing import ArrayLike, NDArray

__version__: str

_Path = Union[str, PathLike[str]]
_Array = NDArray[Any]
_Described = tuple[str, str, list[int]]

def compile(
    model: _Path | bytes,
    calibration: ArrayLike | _Path | None = None,
    *,
    config: _Path | dict[str, int | str] | None = None,
    scale: float | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    resize: int | None = None,
    labels: Sequence[str] | _Path | None = None,
) -> Module: ...
def load(path: _Path) -> Module: ...
@final
class Module:
    def run(self, *inputs: ArrayLike | _Path) -> _Array | list[_Array]: ...
    def save(self, path: _Path) -> None: ...
    @property
    def counters(self) -> dict[str, Any]: ...
    @property
    def placement(self) -> list[dict[str, str]]: ...
    @property
    def notes(self) -> dict[str, str]: ...
    @property
    def config(self) -> dict[str, int | str]: ...
    @property
    def labels(self) -> list[str]: ...
    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> list[_Described]: ...
    @property
    def outputs(self) -> list[_Described]: ...
