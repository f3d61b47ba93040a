"""When a full collection is due, by bytes: the rule alone."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from memguard.pressure.bytes_rule import (
    LARGEST_CREDIT_SECONDS,
    Collected,
    HeapSample,
    HeapState,
    NextLook,
    after_collection,
    after_tare,
    after_trim,
    decide,
    growth_limit,
    is_tare_due,
    next_look,
    start_state,
)
from memguard.settings import CollectorSettings

MIB = 2**20
SETTINGS = CollectorSettings()
START = HeapState(frozen_bytes=10 * MIB, floor_bytes=10 * MIB, seen_seconds=0.0, seen_bytes=0)


def sample(in_use_mib, now, free_mib=0, idle_mib=0):
    return HeapSample(round(in_use_mib * MIB), free_mib * MIB, idle_mib * MIB, now)


def test_growth_by_a_share_of_the_working_set_is_due():
    """And by 32 MiB where the share is less; what was frozen is no working set."""
    tight = replace(START, tare_seconds=1.0)
    assert growth_limit(SETTINGS, tight) == 32 * MIB
    assert growth_limit(SETTINGS, replace(tight, floor_bytes=210 * MIB)) == 100 * MIB


def test_cheap_collections_come_at_half_the_growth():
    """Once looking takes a hundredth of the time since the last one, or less."""
    cheap = replace(START, tare_seconds=0.001, collected_seconds=5.0, seen_seconds=5.11)
    assert growth_limit(SETTINGS, cheap) == 16 * MIB
    assert growth_limit(SETTINGS, replace(cheap, seen_seconds=5.09)) == 32 * MIB
    after = after_collection(cheap, Collected(10 * MIB, 5.2, 0.001, 0))
    assert growth_limit(SETTINGS, after) == 32 * MIB


def test_collections_come_earlier_where_that_keeps_pauses_short():
    """But not at less than an eighth of the growth, and not on credit."""
    rich = replace(START, credit_seconds=1.0, tare_seconds=0.001)
    assert growth_limit(SETTINGS, replace(rich, seconds_a_byte=0.010 / (10 * MIB))) == 10 * MIB
    assert growth_limit(SETTINGS, replace(rich, seconds_a_byte=1.0)) == 4 * MIB
    poor = replace(rich, seconds_a_byte=1.0, credit_seconds=0.0)
    assert growth_limit(SETTINGS, poor) == 32 * MIB


def test_freeing_costs_what_a_collection_takes_beyond_looking():
    """To look at what lives takes its time however little is freed."""
    state = replace(START, tare_seconds=0.010, seen_bytes=110 * MIB)
    after = after_collection(state, Collected(10 * MIB, 0.0, 0.030, freed_count=60_000))
    assert round(after.seconds_a_byte * 100 * MIB, 9) == 0.020


def test_what_references_freed_lowers_the_floor():
    """Growth is counted from the least that was in use since."""
    _, state = decide(sample(5, 1.0), SETTINGS, START)
    assert state.floor_bytes == 5 * MIB
    action, _ = decide(sample(38, 2.0), SETTINGS, replace(state, tare_seconds=0.01))
    assert action.collect


def test_a_collection_waits_until_its_time_was_saved_up():
    """At a twentieth of the time, of which trims have a tenth."""
    poor = replace(START, tare_seconds=0.1)
    assert not decide(sample(500, 2.1), SETTINGS, poor)[0].collect
    assert decide(sample(500, 2.3), SETTINGS, poor)[0].collect


def test_the_costliest_collection_comes_too_and_leaves_a_debt():
    """A budget that it can never save up would starve it."""
    state = replace(START, tare_seconds=30.0)
    now = 0.0
    while True:
        now += 0.1
        action, state = decide(sample(10_000, now), SETTINGS, state)
        if action.collect:
            break
    assert now < 26
    state = after_collection(state, Collected(10 * MIB, 0.0, 30.0, 10))
    assert state.credit_seconds < -28


@given(
    st.lists(
        st.tuples(st.floats(0.001, 0.5), st.integers(10, 2000), st.floats(0.0001, 0.3)),
        min_size=1,
        max_size=200,
    )
)
def test_what_is_charged_stays_within_the_budget(steps):
    """Whatever the heap does, and however costs vary; the debt of one collection aside."""
    state, now, spent, costliest = START, 0.0, 0.0, 0.0
    for passed, in_use_mib, cost in steps:
        now += passed
        action, state = decide(sample(in_use_mib, now), SETTINGS, state)
        assert state.credit_seconds <= LARGEST_CREDIT_SECONDS
        if action.collect:
            state = after_collection(
                state, Collected(state.seen_bytes, 0.0, cost, 0, thawed=action.thaw)
            )
            spent += cost
            costliest = max(costliest, cost)
    assert spent <= SETTINGS.budget_ratio * now + costliest + 1e-9


def test_only_what_looking_costs_is_charged():
    """Freeing takes its time whenever it is done; to wait for it lets the pause grow."""
    state = replace(START, credit_seconds=0.1, tare_seconds=0.002)
    after = after_collection(state, Collected(10 * MIB, 0.0, 0.05, freed_count=60_000))
    assert after.credit_seconds == 0.1 - 0.002


def test_what_a_collection_takes_that_frees_nothing_is_found_out_now_and_then():
    """After some of the first, and once in sixteen; not where looking took most of the time."""
    state, due = START, []
    freeing = Collected(10 * MIB, 0.0, 0.01, 20_000)
    for number in range(40):
        is_due = is_tare_due(state, freeing)
        state = after_collection(state, freeing)
        if is_due:
            due.append(number)
            state = after_tare(state, 0.002)
    assert due == [0, 1, 2, 4, 8, 16, 32]
    assert state.tare_seconds == 0.002
    assert not is_tare_due(START, Collected(10 * MIB, 0.0, 0.01, freed_count=10))


def test_that_it_takes_less_is_believed_at_once():
    """A first one that took long, or one that was disturbed, must not delay all others."""
    assert after_tare(replace(START, tare_seconds=0.006), 0.002).tare_seconds == 0.002
    assert after_tare(replace(START, tare_seconds=0.002), 0.006).tare_seconds == 0.004


def test_the_first_collections_need_not_wait():
    """There is the credit of a second, and what is in use is the program's own."""
    state = start_state(sample(10, 7.0), SETTINGS)
    assert state.credit_seconds == SETTINGS.budget_ratio
    assert decide(sample(50, 7.1), SETTINGS, replace(state, tare_seconds=0.04))[0].collect
    assert not decide(sample(20, 7.1), SETTINGS, state)[0].collect


def test_few_objects_that_held_much_took_their_time_to_free_it():
    """Strings in a list are no objects that the collector counts."""
    state = replace(START, seen_bytes=110 * MIB)
    assert is_tare_due(state, Collected(10 * MIB, 0.0, 0.05, freed_count=10))
    assert not is_tare_due(state, Collected(109 * MIB, 0.0, 0.05, freed_count=10))


def test_a_working_set_that_doubled_is_looked_at_with_what_was_frozen():
    """Garbage may hide there: agents that ran when it was frozen."""
    state = replace(START, first_floor_bytes=50 * MIB, floor_bytes=100 * MIB, credit_seconds=0.5)
    assert not decide(sample(300, 0.0), SETTINGS, state)[0].thaw
    state = replace(state, floor_bytes=140 * MIB)
    assert decide(sample(300, 0.0), SETTINGS, state)[0].thaw
    after = after_collection(state, Collected(60 * MIB, 0.0, 0.2, 100, thawed=True))
    assert after.first_floor_bytes == 60 * MIB
    assert after.tare_seconds == state.tare_seconds


def test_idle_memory_goes_back_but_for_what_will_soon_be_used():
    """And only where the system would get pages for it."""
    state = replace(START, trim_credit_seconds=0.1, tare_seconds=1.0)
    assert decide(sample(10, 0.0, free_mib=70, idle_mib=70), SETTINGS, state)[0].trim
    assert not decide(sample(10, 0.0, free_mib=50, idle_mib=50), SETTINGS, state)[0].trim
    assert not decide(sample(10, 0.0, free_mib=70, idle_mib=5), SETTINGS, state)[0].trim
    spent = after_trim(state, 0.2)
    assert not decide(sample(10, 0.0, free_mib=70, idle_mib=70), SETTINGS, spent)[0].trim


def test_the_faster_it_grows_the_sooner_is_the_next_look():
    """Where nothing watches: at half of the way, but not in less than five milliseconds."""

    def wait_seconds(state):
        return next_look(SETTINGS, state, watched=False).wait_seconds

    slow = replace(START, rate=1.0 * MIB, seen_bytes=10 * MIB, tare_seconds=1.0)
    assert wait_seconds(slow) == SETTINGS.check_seconds
    assert wait_seconds(replace(slow, rate=1000.0 * MIB)) == 0.016
    assert wait_seconds(replace(slow, rate=1e6 * MIB)) == 0.005


def test_where_malloc_is_watched_the_look_comes_when_so_much_is_in_use():
    """Or when less would do; not by bytes while there is no time for a collection."""
    fast = replace(START, rate=1000.0 * MIB, tare_seconds=0.001, credit_seconds=0.002)
    following = next_look(SETTINGS, replace(fast, seen_seconds=1.0), watched=True)
    assert following == NextLook(SETTINGS.check_seconds, (10 + 16) * MIB)
    following = next_look(SETTINGS, replace(fast, seen_seconds=0.09), watched=True)
    assert following.due_bytes == (10 + 32) * MIB
    assert round(following.wait_seconds, 6) == 0.01
    poor = replace(fast, credit_seconds=0.0)
    assert next_look(SETTINGS, poor, watched=True) == NextLook(SETTINGS.check_seconds)
