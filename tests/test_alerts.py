"""Alerts: levels by the report's table, what is told, and what is not."""

import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memguard
from memguard.errors import LimitOutOfRangeError
from memguard.pressure.alerts import MemoryPressureAlertSystem
from memguard.pressure.events import AlertCleared, AlertRaised
from memguard.settings import AlertSettings


class ReportsSystem:
    """The class of the report, as it stands there; an oracle."""

    def __init__(self):
        self.alert_thresholds = {"warning": 60, "critical": 80, "emergency": 95}

    def check_memory_pressure(self, current_usage_mb, total_mb):
        percent = (current_usage_mb / total_mb) * 100
        if percent >= self.alert_thresholds["emergency"]:
            return "emergency"
        elif percent >= self.alert_thresholds["critical"]:  # noqa: RET505
            return "critical"
        elif percent >= self.alert_thresholds["warning"]:
            return "warning"
        return "normal"


class Told:
    """A system, its clock, and what it told."""

    def __init__(self, **settings):
        self.now = 0.0
        self.events = []
        self.system = MemoryPressureAlertSystem(AlertSettings(**settings), clock=lambda: self.now)
        self.system.on_alert(self.events.append)

    def read(self, *percents, seconds=1.0):
        for percent in percents:
            self.now += seconds
            self.system.check_memory_pressure(percent, 100)
        return self

    @property
    def levels(self):
        return [event.level for event in self.events]


@given(used=st.floats(0, 1e6), total=st.floats(0.001, 1e6))
def test_the_answer_is_the_reports_whatever_was_read_before(used, total):
    """Each from its own reading alone."""
    system = MemoryPressureAlertSystem()
    for _ in range(2):
        assert system.check_memory_pressure(used, total) == ReportsSystem().check_memory_pressure(
            used, total
        )


def test_the_thresholds_are_the_reports_and_may_be_changed():
    """In percent, as attributes of the class were."""
    system = memguard.MemoryPressureAlertSystem()
    assert system.alert_thresholds == ReportsSystem().alert_thresholds
    system.alert_thresholds["warning"] = 10
    assert system.check_memory_pressure(20, 100) == "warning"


def test_classes_made_from_the_reports_are_called_as_there():
    """At each reading of a level, with the usage and the percent."""
    called = []

    class Mine(MemoryPressureAlertSystem):
        def _warning_alert(self, current_usage_mb, percent):
            called.append(("warning", current_usage_mb, percent))

        def _emergency_alert(self, current_usage_mb, percent):
            called.append(("emergency", current_usage_mb, percent))

    system = Mine()
    for used in (100, 700, 850, 990):
        system.check_memory_pressure(used, 1000)
    assert called == [("warning", 700, 70.0), ("emergency", 990, 99.0)]


@pytest.mark.parametrize(
    ("used", "total"), [(1, 0), (1, -1), (-1, 1), (float("nan"), 1), (1, float("inf"))]
)
def test_what_is_no_amount_of_memory_is_refused(used, total):
    """And is no reading."""
    system = MemoryPressureAlertSystem()
    with pytest.raises(LimitOutOfRangeError, match="_mb is"):
        system.check_memory_pressure(used, total)
    assert system.statistics().reading_count == 0


def test_a_level_is_told_once_when_it_is_kept():
    """After five readings far beyond; not at each of them."""
    told = Told().read(*[50] * 20, *[70] * 4)
    assert told.events == []
    told.read(*[70] * 100)
    assert told.events == [AlertRaised("memory", "warning", "normal", 70.0, 60)]


def test_a_lone_peak_is_told_to_nobody():
    """However high it is."""
    told = Told()
    for _ in range(50):
        told.read(99, *[50] * 10)
    assert told.events == []


def test_at_the_brink_more_readings_are_needed():
    """A tenth of a point counts for a tenth of a point."""
    told = Told().read(*[60.1] * 49)
    assert told.events == []
    assert told.read(60.1, 60.1).levels == ["warning"]


@pytest.mark.parametrize("height", [2.1, 5, 40])
@pytest.mark.parametrize("count", [1, 3, 5, 8])
def test_a_spike_is_not_enough_by_itself(count, height):
    """Far beyond a level nine readings are, whatever they are."""
    told = Told().read(*[55] * 50, *[60 + height] * count, *[55] * 50)
    assert told.levels == []
    assert len(Told().read(*[60 + height] * 60).levels) == 1


def test_clear_readings_near_a_level_are_enough_soon():
    """Where no spike would end."""
    assert Told().read(*[61.5] * 5).levels == ["warning"]


def test_leaving_a_level_is_told_too_and_happens_lower():
    """0.05 of the limit below where it was entered."""
    told = Told().read(*[85] * 9, *[77] * 50)
    assert told.levels == ["critical"]
    told.read(*[70] * 5)
    assert told.events[-1] == AlertCleared("memory", "warning", "critical", 70.0)
    told.read(*[40] * 5)
    assert told.events[-1] == AlertCleared("memory", "normal", "warning", 40.0)


def test_a_rise_through_several_levels_is_one_alert():
    """Of the highest."""
    assert Told().read(*[99] * 10).levels == ["emergency"]


def test_a_level_that_comes_and_goes_is_told_three_times_a_minute():
    """Then it waits; what was not told is counted, and said with the next."""
    told = Told(repeat_count=3, repeat_seconds=60)
    for _ in range(5):
        told.read(*[70] * 9, *[40] * 5, seconds=0.1)
    assert told.levels == ["warning", "normal"] * 3
    assert told.system.statistics().held_back_count == 2
    told.read(*[70] * 10, seconds=10)
    assert told.levels[-1] == "warning"
    assert told.events[-1].held_back_count == 2
    assert told.system.statistics().held_back_count == 0


def test_what_waits_is_told_when_its_time_comes():
    """If it still holds."""
    told = Told(repeat_count=1, repeat_seconds=60)
    told.read(*[70] * 9, *[40] * 5, *[70] * 9)
    assert told.levels == ["warning", "normal"]
    told.read(*[70] * 50)
    assert told.levels == ["warning", "normal", "warning"]


def test_a_higher_level_never_waits():
    """Only one that was told of late does."""
    told = Told(repeat_count=1, repeat_seconds=1e9)
    told.read(*[70] * 9, *[85] * 9, *[99] * 9)
    assert told.levels == ["warning", "critical", "emergency"]


@given(st.lists(st.floats(0, 120), max_size=300))
def test_events_alternate_and_end_where_the_level_is(percents):
    """Never twice the same, each from where the last one led; what is not told is counted."""
    told = Told(repeat_count=2, repeat_seconds=30)
    told.read(*percents)
    ranks = ["normal", "warning", "critical", "emergency"]
    level = "normal"
    for event in told.events:
        assert event.previous == level
        rises = ranks.index(event.level) > ranks.index(level)
        assert isinstance(event, AlertRaised if rises else AlertCleared)
        assert event.level != level
        level = event.level
    statistics = told.system.statistics()
    assert statistics.raised_count + statistics.cleared_count == len(told.events)
    assert level == told.system.level() or statistics.held_back_count > 0


def test_the_rest_of_the_reports_table():
    """Five circular references, a depth above four, an effectiveness below 80 %."""
    told = Told()
    system = told.system
    assert [system.check_circular_references(count) for count in (4, 5)] == ["normal", "warning"]
    assert [system.check_delegation_depth(depth) for depth in (4, 5)] == ["normal", "critical"]
    assert [system.check_gc_effectiveness(share) for share in (0.8, 0.79)] == [
        *("normal", "emergency")
    ]
    assert [(event.quantity, event.level) for event in told.events] == [
        ("circular_references", "warning"),
        ("delegation_depth", "critical"),
        ("gc_effectiveness", "emergency"),
    ]
    assert system.level() == "emergency"
    assert system.level("memory") == "normal"


def test_each_of_the_table_is_left():
    """Exact numbers at once, effectiveness a little above its threshold."""
    told = Told()
    for check, values in (
        (told.system.check_circular_references, (5, 4)),
        (told.system.check_delegation_depth, (5, 4)),
        (told.system.check_gc_effectiveness, (0.7, 0.82, 0.9)),
    ):
        for value in values:
            check(value)
    assert [type(event) for event in told.events] == [AlertRaised, AlertCleared] * 3
    assert told.events[-1].value == 0.9


def test_alerts_are_written_to_the_log_as_sentences(caplog):
    """As severe as the level."""
    told = Told()
    end = told.system.log_alerts()
    with caplog.at_level(logging.INFO, logger="memguard.pressure"):
        told.read(*[97] * 9, *[40] * 5)
        end()
        told.read(*[97] * 9)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("CRITICAL", "emergency: memory at 97.0%, the threshold is 95%"),
        ("INFO", "normal again: memory at 40.0%, after emergency"),
    ]


def test_a_listener_may_check_and_sees_events_in_their_order():
    """What it causes is told after what it was told."""
    told = Told()
    seen = []

    def listen(event):
        seen.append(event.quantity)
        if event.quantity == "memory":
            told.system.check_delegation_depth(9)
            seen.append("back")

    told.system.on_alert(listen)
    told.read(*[70] * 9)
    assert seen == ["memory", "back", "delegation_depth"]


def test_threads_neither_lose_nor_double_alerts():
    """Each change is told once, in order."""
    told = Told(repeat_count=1_000_000)
    gate = threading.Barrier(8)

    def check(start):
        gate.wait()
        for number in range(500):
            told.system.check_delegation_depth(9 if (number + start) % 2 else 1)

    threads = [threading.Thread(target=check, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kinds = [type(event) for event in told.events]
    assert kinds == [AlertRaised, AlertCleared] * (len(kinds) // 2) + [AlertRaised] * (
        len(kinds) % 2
    )
    statistics = told.system.statistics()
    assert statistics.raised_count + statistics.cleared_count == len(told.events)
    assert statistics.reading_count == 4000
