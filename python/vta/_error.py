"""The exceptions, which carry what the command line says."""

from __future__ import annotations


class Error(Exception):
    """What went wrong and where. `help` is the remedy, if there is one.

    An error of no subclass is a bug of this package.
    """

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(message, help)
        self.message = message
        self.help = help

    def __str__(self) -> str:
        return self.message if self.help is None else f"{self.message}\nhelp: {self.help}"


class InputError(Error, ValueError):
    """Something that was given is wrong."""


class LimitError(Error):
    """A limit was reached."""


for _class in (Error, InputError, LimitError):
    _class.__module__ = "vta"
