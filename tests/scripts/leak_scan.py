"""Find cycles, and drop the answers unread."""

from growth import print_growth

import memguard

kept = []
kept.append(kept)


def call():
    for kind in ("garbage", "live"):
        memguard.scan(kind, explain=False)
        memguard.scan(kind, explain=False, roots=[kept])
    memguard.scan("live", explain=False, max_objects=100)
    memguard.scan("live", explain=False, budget_seconds=1e-9)


print_growth(call, call_count=200)
