"""Say who we are: everything of ``__main__`` that a program can ask for."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import sys
import typing

import __main__

limit: int = 3


@dataclasses.dataclass
class Job:
    """Needs ``sys.modules["__main__"]`` to be this module."""

    name: str
    parent: Job | None = None


for name in sorted(vars(__main__)):
    value = vars(__main__)[name]
    if name.startswith("__") and name != "__loader__":
        print(name, getattr(value, "__name__", value if name != "__spec__" else repr(value)[:40]))
print(type(__main__.__loader__).__name__)
print(vars(__main__) is globals(), sys.modules["__main__"] is __main__)
print(sys.argv, sys.path, sys.flags.safe_path)
print(pickle.loads(pickle.dumps(Job("child", Job("parent")))))
print(typing.get_type_hints(Job), __main__.__annotations__)
print(inspect.getsource(Job).splitlines()[0], inspect.getfile(Job))
print(sys._getframe().f_code.co_filename, sys.stdin.read())
