"""The one exception for input from outside that cannot be used."""

from __future__ import annotations

import traceback
from pathlib import Path


class InputError(Exception):
    """Something a user gave is unusable. The message is one line: what, where, what was expected.

    The command line prints it and ends with exit code 2; nothing else in the project does. It is no ValueError:
    readers catch those of the libraries they use, and must not catch it with them.
    """

    def __init__(self, where: str, found: str, expected: str) -> None:
        message = f"{where}: {found}; expected {expected}"
        super().__init__(" ".join(message.split()))

    @staticmethod
    def unreadable(where: str, error: Exception, expected: str) -> InputError:
        """For a file whose reading failed with `error`."""
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return InputError(where, f"cannot be read ({what})", expected)


class Late(BaseException):
    """The time limit is over. No `Exception`, so that an evaluator does not catch it by accident."""


def in_one_line(error: BaseException) -> str:
    """Type, message, and where it was raised; an `InputError` says all of that itself."""
    if isinstance(error, InputError):
        return str(error)
    try:
        message = " ".join(str(error).split())[:160]
    except Exception:  # the text is the evaluator's program too
        message = "without a text"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {message}{where}"
