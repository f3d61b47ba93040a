"""Real library cycles, and what becomes of them when memguard's advice is followed.

``python tests/repairs`` runs each program as it is and in a copy with the
change that the advice names, scans both, and writes ``docs/advice.md``.
"""
