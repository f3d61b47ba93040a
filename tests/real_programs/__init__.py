"""Real programs, and what memguard finds in them against independent counts.

``python tests/real_programs`` prints a line for each and writes
``docs/real-programs.md``; ``tests/test_real_programs.py`` checks the same.

Each program uses the public interface of a library as its documentation does,
and runs in a process of its own.
"""
