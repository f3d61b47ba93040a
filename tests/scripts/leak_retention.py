"""Ask who holds objects, one and many, with every kind of way."""

import sys
import types

from growth import print_growth

import memguard
from memguard import _retention


class Thing:
    pass


shop = types.ModuleType("leaking_shop")
sys.modules["leaking_shop"] = shop
shop.THINGS = [Thing() for _ in range(100)]
shop.TABLE = {"thing": shop.THINGS[0], "rows": dict(enumerate(shop.THINGS))}
shop.TEXTS = {"text": ("".join(["not", "interned"]),)}


def call():
    assert memguard.why_alive(shop.THINGS[0], paths=4).paths
    assert memguard.why_alive(shop.TEXTS["text"][0]).paths
    assert memguard.who_holds([Thing(), shop.THINGS[0], *shop.TEXTS["text"]]).holders
    assert _retention.keys_of(shop.TABLE["rows"], shop.THINGS)[5] == (5,)
    assert _retention.indices_of(shop.THINGS, shop.THINGS[5:6]) == [5]


print_growth(call, call_count=60)
