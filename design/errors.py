"""The one exception for input from outside that cannot be used."""

from __future__ import annotations


class InputError(ValueError):
    """Something a user gave is unusable. The message is one line: what, where, what was expected.

    The command line prints it and ends with exit code 2; nothing else in the project does.
    """

    def __init__(self, where: str, found: str, expected: str) -> None:
        message = f"{where}: {found}; expected {expected}"
        super().__init__(" ".join(message.split()))
