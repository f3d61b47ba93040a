"""Describe late, also cycles that were broken meanwhile."""

from growth import print_growth

import memguard

kept = [[], {}]


def call():
    kept.append(kept)
    whole = memguard.scan("live", roots=[kept], explain=False)
    broken = memguard.scan("live", roots=[kept], explain=False)
    assert "broken" not in whole.shapes[0].path
    kept.pop()
    assert "broken" in broken.shapes[0].path


print_growth(call, call_count=5_000)
