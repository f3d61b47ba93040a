"""Call every function and method of the natives for growth and for who holds, well and badly."""

import types

from growth import print_growth

import memguard
from memguard import _core, _growth, _retention


class Session:
    pass


kept = {number: Session() for number in range(40)}
items = list(kept.values())
steps = [0]

FUNCTIONS = {
    "find_ways": lambda: _retention.find_ways((items, *items[:3]), "/nowhere/", 2, True),
    "keys_of": lambda: _retention.keys_of(kept, items),
    "indices_of": lambda: _retention.indices_of(items, items),
}
METHODS = {
    "take": lambda census: census.take(),
    "find": lambda census: census.find([(id(kept), id(dict)), (id(kept), id(list))]),
    "newest": lambda census: census.newest([f"{__name__}.Session", "builtins.dict", "no.Type"]),
}


def names_of(namespace):
    return {name for name, value in namespace.items() if callable(value) and name[:1] != "_"}


natives = {name for module in (_growth, _retention) for name in names_of(vars(module))}
assert natives == FUNCTIONS.keys() | {"Census", "CensusSnapshot"}, natives
assert names_of(vars(_growth.Census)) == METHODS.keys()
FIELDS = [
    name
    for name, value in vars(_growth.Census).items()
    if type(value) is types.GetSetDescriptorType
]
assert len(FIELDS) == 5
assert names_of(vars(_growth.CensusSnapshot)) == {"answer"}


def fails(call):
    try:
        call()
    except (MemoryError, ValueError, memguard.MemguardError):
        return
    raise AssertionError(call)


def look_in_children(census):
    _growth.CensusSnapshot(census)
    ends = [_growth.CensusSnapshot(census).answer(lambda over=over: over)[1] for over in (0, 1)]
    assert ends == ["answered", "was given up"], ends
    for number in range(1, 9):
        _core._fail_allocation_at(number)
        try:
            _growth.CensusSnapshot(census).answer(bool)
        except MemoryError:
            continue
        finally:
            _core._fail_allocation_at(0)


def call():
    for function in FUNCTIONS.values():
        function()
    census = _growth.Census(4, 64)
    for method in METHODS.values():
        method(census)
    for name in FIELDS:
        getattr(census, name)
    steps[0] += 1
    kept[steps[0] % 50] = Session()
    _core._fail_allocation_at(1 + steps[0] % 4)
    fails(census.take)
    _core._fail_allocation_at(0)
    census.take()
    if steps[0] % 20 == 0 and _core.build_info()["snapshots"]:
        look_in_children(census)
    fails(lambda: _growth.Census(0, 1))


print_growth(call, call_count=1_000)
