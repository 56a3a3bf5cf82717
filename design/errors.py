"""The one exception for input from outside that cannot be used."""

from __future__ import annotations


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
