"""Ask what owners and objects hold, with every kind of owner, and whose cycles are."""

import asyncio
import sys
import threading
import types

from growth import print_growth

import memguard
from memguard import _owners


class Thing:
    pass


shop = types.ModuleType("owned_shop")
sys.modules["owned_shop"] = shop
shop.context = memguard.AgentContext("agent")
shop.context.data.append(["".join(["text"]), ("a", "b"), {"role": "user"}])
shop.registered = memguard.own(Thing(), "registered")
shop.registered.itself = shop.registered
# A new loop for each call would itself leave some blocks behind.
loop = asyncio.new_event_loop()
local = threading.local()
local.part = [Thing()]


async def task():
    report = memguard.owners()
    assert report.row_of("agent") is not None
    assert report.to_text()


def call():
    loop.run_until_complete(task())
    memguard.own(Thing(), "short-lived")
    thing = Thing()
    thing.itself, thing.context = thing, shop.context
    del thing
    with memguard.scan() as report:
        assert report.owners
    with memguard.scan("live") as report:
        assert report.owners
    assert memguard.retained_size(shop.context).retained_count > 3
    assert len(memguard.retained_sizes([shop.context, Thing(), "text"])) == 3
    assert _owners.find_instances((Thing,))
    assert _owners.thread_data()
    try:
        _owners.weigh_owners((), "", [0], [])
    except ValueError:
        return
    raise AssertionError


print_growth(call, call_count=60)
loop.close()
