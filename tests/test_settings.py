"""Settings: where they come from, which wins, and what a wrong one is told."""

import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.errors import (
    SettingError,
    UnknownSettingError,
    UnreadableSettingsError,
    WrongSettingError,
)
from memguard.settings import (
    AlertSettings,
    CollectorSettings,
    GuardSettings,
    PressureSettings,
    load_settings,
)

ROOMS = {known.name: known.default_factory for known in dataclasses.fields(GuardSettings)}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(file=None, environment=(), **rooms):
    return load_settings(file, environment=dict(environment), **rooms)


def test_without_a_word_all_is_as_the_report_says():
    """Its levels, its depth, its count, its effectiveness."""
    settings = load()
    assert settings == GuardSettings()
    alerts = settings.alerts
    assert (alerts.warning_ratio, alerts.critical_ratio, alerts.emergency_ratio) == (0.6, 0.8, 0.95)
    assert (alerts.circular_reference_count, alerts.delegation_depth) == (5, 4)
    assert alerts.gc_effectiveness_ratio == 0.8


def test_an_argument_wins_over_a_variable_and_a_variable_over_the_file(tmp_path):
    """Each setting by itself; what nobody gives is the default."""
    file = tmp_path / "some.toml"
    file.write_text("[pressure]\nrefuse_ratio = 0.1\nramp_ratio = 0.1\nlimit_seconds = 9\n")
    environment = {"MEMGUARD_PRESSURE_REFUSE_RATIO": "0.2", "MEMGUARD_PRESSURE_RAMP_RATIO": "0.2"}
    found = load(file, environment, pressure={"refuse_ratio": 0.3}).pressure
    assert found == PressureSettings(refuse_ratio=0.3, ramp_ratio=0.2, limit_seconds=9)


def test_the_table_of_a_project_is_read_and_nothing_else_of_its_file(tmp_path):
    """Other tools have their tables beside it."""
    (tmp_path / "pyproject.toml").write_text(
        "[tool.other]\nx = 1\n[tool.memguard.alerts]\ndelegation_depth = 7\n"
    )
    assert load().alerts.delegation_depth == 7
    assert load(tmp_path / "pyproject.toml").alerts.delegation_depth == 7


def test_a_file_of_memguard_goes_before_the_project_and_a_named_one_before_both(tmp_path):
    """The first that is there is the only one."""
    (tmp_path / "pyproject.toml").write_text("[tool.memguard.alerts]\ndelegation_depth = 7\n")
    (tmp_path / "memguard.toml").write_text("[alerts]\ndelegation_depth = 8\n")
    (tmp_path / "named.toml").write_text("[alerts]\ndelegation_depth = 9\n")
    assert load().alerts.delegation_depth == 8
    assert load(environment={"MEMGUARD_CONFIG": "named.toml"}).alerts.delegation_depth == 9


def test_the_settings_of_a_room_may_be_given_whole():
    """Then nothing else is asked for them."""
    whole = PressureSettings(refuse_ratio=0.5)
    found = load(environment={"MEMGUARD_PRESSURE_RAMP_RATIO": "0.1"}, pressure=whole)
    assert found.pressure == whole


def test_the_memory_limit_has_a_short_name_over_which_the_regular_one_wins():
    """Kubernetes hands it down as a variable."""
    environment = {"MEMGUARD_MEMORY_LIMIT": "512Mi"}
    assert load(environment=environment).pressure.limit_bytes == 512 * 2**20
    environment["MEMGUARD_PRESSURE_LIMIT_BYTES"] = "1G"
    assert load(environment=environment).pressure.limit_bytes == 10**9


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1024", 1024),
        ("2k", 2000),
        ("2 KiB", 2048),
        ("1.5Gi", 3 * 2**29),
        ("3MB", 3_000_000),
        ("1TB", 10**12),
        ("none", None),
    ],
)
def test_a_size_may_have_a_unit(text, size):
    """As Kubernetes means it, in a variable, a file and a class alike."""
    assert load(environment={"MEMGUARD_MEMORY_LIMIT": text}).pressure.limit_bytes == size
    assert PressureSettings(limit_bytes=text).limit_bytes == size


@pytest.mark.parametrize("text", ["512Zi", "a lot", "-1", "1e9x", "0", "5 5"])
def test_a_size_that_is_none_is_an_error_that_names_the_variable(text):
    """And the key, the value, and what may be given."""
    with pytest.raises(WrongSettingError) as caught:
        load(environment={"MEMGUARD_MEMORY_LIMIT": text})
    assert caught.value.key == "pressure.limit_bytes"
    for part in "pressure.limit_bytes", "the variable MEMGUARD_MEMORY_LIMIT", "512Mi":
        assert part in str(caught.value)


def wrong_values():
    """Each number of each room just outside of its range, and of a wrong type."""
    for name, room in ROOMS.items():
        for key, kind in room.kinds():
            yield pytest.param(name, key, [], id=f"{name}.{key}-list")
            if hasattr(kind, "minimum"):
                yield pytest.param(name, key, kind.minimum - 1, id=f"{name}.{key}-low")
                yield pytest.param(name, key, True, id=f"{name}.{key}-bool")
                yield pytest.param(name, key, float("nan"), id=f"{name}.{key}-nan")
                yield pytest.param(name, key, float("inf"), id=f"{name}.{key}-inf")
            if getattr(kind, "above_minimum", False):
                yield pytest.param(name, key, kind.minimum, id=f"{name}.{key}-least")


@pytest.mark.parametrize(("room", "key", "value"), [*wrong_values()])
def test_every_setting_refuses_what_is_outside_of_its_range(room, key, value):
    """Whether it comes from a class or from an argument; the error says which."""
    with pytest.raises(WrongSettingError) as from_class:
        ROOMS[room](**{key: value})
    with pytest.raises(WrongSettingError) as from_argument:
        load(**{room: {key: value}})
    assert from_class.value.key == from_argument.value.key == f"{room}.{key}"
    assert from_argument.value.origin == "an argument"
    assert f"it must be {from_class.value.allowed}" in str(from_class.value)


def test_levels_that_are_out_of_order_are_an_error():
    """It names both, and where the blamed one came from."""
    with pytest.raises(WrongSettingError, match=r"at most alerts.critical_ratio, which is 0.5"):
        AlertSettings(critical_ratio=0.5)
    with pytest.raises(WrongSettingError, match="from the variable MEMGUARD_ALERTS_WARNING_RATIO"):
        load(environment={"MEMGUARD_ALERTS_WARNING_RATIO": "0.9"})


@pytest.mark.parametrize(
    ("file_text", "environment", "rooms", "parts"),
    [
        ("[pressure]\nrefuse_ration = 1", {}, {}, ["some.toml", "pressure.refuse_ratio?"]),
        ("[presure]\nrefuse_ratio = 1", {}, {}, ["presure", "some.toml", "pressure?"]),
        ("refuse_ratio = 1", {}, {}, ["some.toml", "pressure.refuse_ratio?"]),
        (
            "",
            {"MEMGUARD_PRESURE_RAMP_RATIO": "1"},
            {},
            ["MEMGUARD_PRESURE_RAMP_RATIO", "the environment", "MEMGUARD_PRESSURE_RAMP_RATIO?"],
        ),
        ("", {}, {"alert": {}}, ["alert ", "an argument", "alerts?"]),
        ("", {}, {"alerts": {"depth": 3}}, ["alerts.depth", "alerts.delegation_depth?"]),
        ("", {}, {"alerts": PressureSettings()}, ["PressureSettings", "pressure?"]),
    ],
)
def test_a_name_that_is_none_is_an_error_with_the_closest_one(
    tmp_path, file_text, environment, rooms, parts
):
    """Whether the room or the setting is wrong, and wherever it stands."""
    file = tmp_path / "some.toml"
    file.write_text(file_text)
    if any(isinstance(room, dict) and not room for room in rooms.values()):
        rooms = {name: {"x": 1} for name in rooms}
    with pytest.raises(UnknownSettingError) as caught:
        load(file, environment, **rooms)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("text", ["[pressure", "\x00"])
def test_a_file_that_is_no_toml_is_an_error_that_names_it(tmp_path, text):
    """So is one that is not there."""
    file = tmp_path / "some.toml"
    file.write_text(text)
    with pytest.raises(UnreadableSettingsError, match=r"some\.toml"):
        load(file)
    with pytest.raises(UnreadableSettingsError, match=r"other\.toml"):
        load(tmp_path / "other.toml")


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_every_setting_has_a_source_and_is_described(room):
    """What a threshold is for, and where its default comes from, stands with it."""
    for known in dataclasses.fields(ROOMS[room]):
        assert known.metadata["source"]
        assert f"{known.name}: " in ROOMS[room].__doc__


@given(ratio=st.floats(0.001, 1), count=st.integers(1, 1000))
def test_a_variable_says_the_same_as_an_argument(ratio, count):
    """Text is read as what it was written from."""
    environment = {
        "MEMGUARD_PRESSURE_REFUSE_RATIO": repr(ratio),
        "MEMGUARD_ALERTS_REPEAT_COUNT": str(count),
    }
    assert load(environment=environment) == load(
        pressure={"refuse_ratio": ratio}, alerts={"repeat_count": count}
    )


def test_profiles_are_words():
    """Another one is refused with all of them."""
    with pytest.raises(WrongSettingError, match="'report', 'default', 'latency', 'bytes'"):
        CollectorSettings(profile="fast")


@pytest.mark.parametrize(
    "error",
    [
        UnknownSettingError("a.b", "the file x", "a.c"),
        WrongSettingError("a.b", 3, "a number", "the file x"),
        UnreadableSettingsError("x", "is not there"),
    ],
)
def test_errors_survive_pickling(error):
    """Workers hand them to their parents."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    assert isinstance(again, ValueError)
    assert isinstance(error, SettingError) or "file" in str(error)
