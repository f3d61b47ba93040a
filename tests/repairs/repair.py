"""A cycle of a real library, and the change that its advice asks for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """Lines to replace in the copy of one module.

    Attributes:
        module: Its full name.
        before: Text that stands in its source once.
        after: What stands there in the copy.
    """

    module: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Repair:
    """One cycle, told by a reference that the advice on it names.

    Attributes:
        module: Where the program is.
        function: Its name; its docstring is its title.
        libraries: What it is about, the first most.
        cut: A reference that the advice has to name, "source.label".
        changes: What the advice asks for, written out.
        remedy: The entry of the catalogue that it has to be; "" for any.
        note: What is to be known when it does not help.
    """

    module: str
    function: str
    libraries: tuple[str, ...]
    cut: str
    changes: tuple[Change, ...]
    remedy: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """What the command line and the tests call it."""
        return f"{self.module.rpartition('.')[2]}.{self.function}:{self.cut}"
