"""Numbers given on the command line: checked when it is read, not when used."""

import argparse
import threading


def positive_count(text: str) -> int:
    """Read a whole number of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of at least 1")
    return number


def positive_seconds(text: str) -> float:
    """Read a time that a thread can wait for."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be a number of seconds above 0 and at most"
            f" {threading.TIMEOUT_MAX:.0f}, such as 60 or 0.5"
        )
    return seconds


def qualified_name(text: str) -> str:
    """Read the name of a class with its module."""
    module, _, name = text.rpartition(".")
    if not (module and name):
        raise argparse.ArgumentTypeError(
            f"{text!r} must be module.Class, such as app.models.Context;"
            f" a class of the script itself is __main__.{name or 'Class'}"
        )
    return text
