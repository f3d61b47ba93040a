"""One program run and measured, in its own process."""

import asyncio
import importlib
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path

from process import measured_apart


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a program.

    Attributes:
        name: Module and function.
        title: What it does.
        container: What the finding had to be called; "" for a healthy program.
        findings: Names and texts of what was found, in order.
        report: The report as text.
        holder: What has to hold an object that a run left behind.
        held: What ``why_alive`` says of an object that a run left behind; "" for a
            healthy program.
    """

    name: str
    title: str
    container: str
    findings: tuple[tuple[str, str], ...]
    report: str
    holder: str
    held: str

    @property
    def is_named(self) -> bool:
        """Whether the first finding is the container, or a type that it holds."""
        return bool(self.findings) and any(
            said.endswith(self.container) for said in self.findings[0]
        )


def load(name):
    """Give what makes a program."""
    module, function = name.split(".")
    return getattr(importlib.import_module(f"leaks.{module}"), function)


def is_of_standard_library(name):
    """Tell whether a program needs none of the extra ``real``."""
    return "libraries" not in name


def measure(name) -> Measured:
    """Run it here."""
    import memguard

    make = load(name)
    program = make()
    report = memguard.growth(program.run)
    return Measured(
        name,
        make.__doc__.splitlines()[0],
        program.container,
        tuple((one.name, one.text) for one in report.findings),
        report.to_text(),
        program.holder or program.container,
        str(who_holds_what_leaked(program)) if program.leaked else "",
    )


def who_holds_what_leaked(program):
    """Run once more, and ask while the event loop is there, as in a service."""
    import memguard

    async def ask():
        await program.run()
        # What ended holds its result until the loop has told of that.
        for _ in range(3):
            await asyncio.sleep(0)
        return memguard.why_alive(program.leaked())

    if inspect.iscoroutinefunction(program.run):
        return asyncio.run(ask())
    program.run()
    return memguard.why_alive(program.leaked())


def measure_apart(name) -> Measured:
    """Run it in a fresh process."""
    command = [sys.executable, str(Path(__file__).with_name("__main__.py")), "--here", name]
    values = measured_apart(command, name)
    findings = tuple((first, second) for first, second in values.pop("findings"))
    return Measured(**values, findings=findings)
