"""``explain="values"``: what objects look like, without harm and without secrets."""

import json

import pytest

import memguard
from memguard.heap.values import BUDGET_SECONDS, LONGEST_VALUE, Values, looks_secret


class Plain:
    """Has no text of its own."""

    def __init__(self, **attributes):
        self.me = self
        for name, value in attributes.items():
            setattr(self, name, value)


class Told(Plain):
    """Has a text of its own."""

    text = "Told(7)"

    def __repr__(self):
        return self.text


class Raising(Plain):
    def __repr__(self):
        raise ZeroDivisionError


class Slow(Plain):
    """Takes as long as it says, by the clock that it is given."""

    clock_seconds = 0.0
    calls = 0

    def __repr__(self):
        Slow.clock_seconds += BUDGET_SECONDS * 2
        Slow.calls += 1
        return "slow"


def planted(cls, **attributes):
    cls(**attributes)


def values_of(cls, **attributes):
    """Plant a garbage cycle and give the values in its document."""
    import gc

    gc.collect()
    planted(cls, **attributes)
    with memguard.scan("garbage", types=[cls], explain="values") as report:
        (shape,) = report.to_dict()["shapes"]
    return [member["value"] for member in shape["exemplar"]["members"]]


def test_values_are_told_only_when_asked_for():
    """By default a report has no text of any object."""
    planted(Told, note="visible")
    with memguard.scan("garbage", types=[Told]) as report:
        assert "Told(7)" not in report.to_json() + report.to_html() + report.to_dot()
        members = report.to_dict()["shapes"][0]["exemplar"]["members"]
    assert [member["value"] for member in members] == [""]


def test_the_text_of_an_object_is_in_all_formats():
    """As a document, as a page and as a graph."""
    planted(Told)
    with memguard.scan("garbage", types=[Told], explain="values") as report:
        for text in report.to_json(), report.to_html(), report.to_dot():
            assert "Told(7)" in text


def test_an_object_without_a_text_is_told_by_its_plain_attributes():
    """Numbers and strings, read without running any code."""
    assert values_of(Plain, task="t-1", tries=3) == ["Plain(task='t-1', tries=3)"]


def test_a_text_that_raises_does_no_harm():
    """The report names the exception, and is otherwise whole."""
    assert values_of(Raising) == ["(__repr__ raised ZeroDivisionError)"]


def test_long_texts_are_cut():
    """Also those of several lines."""

    class Long(Told):
        text = "line\n" * 100

    (value,) = values_of(Long)
    assert len(value) == LONGEST_VALUE
    assert value.startswith("line line ")
    assert value.endswith("...")


def test_after_a_slow_text_no_other_is_asked_for():
    """What all take together is bounded by the budget and one call."""
    values = Values(clock_seconds=lambda: Slow.clock_seconds)
    assert values.of(Slow()) == "slow"
    assert values.of(Slow()) == "(not asked: others took too long)"
    assert values.of(Plain(task="still told")) == "Plain(task='still told')"
    assert Slow.calls == 1


SECRETS = [
    "password",
    "db_passwd",
    "PASSPHRASE",
    "token",
    "accessToken",
    "client-secret",
    "api_key",
    "apiKey",
    "X-API-Key",
    "Authorization",
    "Cookie",
    "private_key",
    "aws_credentials",
    "session_id",
]


@pytest.mark.parametrize("name", SECRETS)
def test_values_by_secret_names_are_left_out(name):
    """In mappings, in attributes, and in the texts that classes give."""
    values = Values()
    assert "hunter2" not in values.of({name: "hunter2"})
    assert "hunter2" not in values.of({name.encode(): b"hunter2"})
    assert "hunter2" not in values.of([({name: "hunter2"},)])
    assert "hunter2" not in values.of(Plain(**{name: "hunter2"}))
    told = Told()
    told.text = f"Settings({name}='hunter2')"
    assert "hunter2" not in values.of(told)


@pytest.mark.parametrize("name", ["parent", "task_id", "count", "host", "pass", "author", "key"])
def test_values_by_other_names_are_shown(name):
    """Hiding everything would tell nothing."""
    assert not looks_secret(name)
    assert Values().of({name: "shown"}) == f"{{{name!r}: 'shown'}}"


def test_containers_show_few_items_and_little_depth():
    """A value is a hint, not a dump."""
    values = Values()
    assert values.of([1, 2, 3, 4, 5, 6]) == "[1, 2, 3, 4, ...]"
    assert values.of([[["deep"]]]) == "[[...]]"
    assert values.of({1: {2: {3: 4}}}) == "{1: {2: ...}}"


def test_a_container_that_holds_itself_has_an_end():
    """It is what reports are about."""
    looped = []
    looped.append(looped)
    assert Values().of(looped) == "[[...]]"


def test_numbers_of_too_many_digits_do_no_harm():
    """Python refuses to write them."""
    assert Values().of(10**10_000) == "..."


def test_another_word_than_values_is_refused():
    """Or a typing error would give a report without values."""
    with pytest.raises(
        memguard.UnknownOptionError, match=r"explain is 'value'; use one of 'values'"
    ):
        memguard.scan(explain="value")


def test_a_document_with_values_can_be_saved():
    """Whatever a text has in it."""

    class Odd(Told):
        text = 'a\x00\ud800"</script>'

    planted(Odd)
    with memguard.scan("garbage", types=[Odd], explain="values") as report:
        assert json.loads(report.to_json())
        assert "</script>" not in report.to_html().split("<body>")[1]
