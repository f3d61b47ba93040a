"""One file per success metric: what it was before, and what it is after.

Each has two functions, ``before()`` and ``after()``, that run in a process of their own
and give numbers by name.
"""
