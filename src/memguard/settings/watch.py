"""Settings of the room that looks at the heap on a schedule."""

from dataclasses import dataclass
from typing import ClassVar

from memguard.settings.values import Number, Room, setting

_LOOKS = Number("looks", 1, 10**6, whole=True)
_CYCLES = Number("cycles", 1, 10**9, whole=True)
_SECONDS = Number("seconds", 0, 86_400)


@dataclass(frozen=True, slots=True)
class WatchSettings(Room):
    """How often the heap is looked at, and what is told of it.

    Attributes:
        every_seconds: Time between two looks [s], ...
        jitter_ratio: ... longer or shorter by up to this share, by chance, so that
            many processes do not look at the same time.
        most_time_ratio: Looks are put off until they have taken no more than this
            share of one processor's time.
        history_count: Looks that are kept [count].
        warmup_count: Looks of which nothing is told: a program that starts up grows [count].
        outgrown_ratio: A shape is told of when in two looks on end it has more cycles
            than this many times the most that it had before, ...
        outgrown_count: ... and this many more [count], ...
        outgrown_object_count: ... or when its cycles have more objects each than so many
            times the most before, and this many more [count].
        steady_count: A shape grows steadily when in so many looks [count] later ones
            have more cycles than earlier ones, beyond chance, ...
        steady_ratio: ... and by this share at least.
        growth_count: What grows is asked for after every so many looks [count], from
            *steady_count* looks on.
        explain_every_seconds: Full collections are explained no more often than
            this [s], ...
        explain_pause_seconds: ... and only those that took so long at least [s].
    """

    name: ClassVar[str] = "watch"

    every_seconds: float = setting(
        60.0, Number("seconds", 0.01, 86_400), "a pause of 20 ms a minute is 0.03 % of the time"
    )
    jitter_ratio: float = setting(0.1, Number("ratio", 0, 0.5), "chosen: spreads a fleet")
    most_time_ratio: float = setting(
        0.02, Number("ratio", 0, 1, above_minimum=True), "chosen: below what profilers are allowed"
    )
    history_count: int = setting(60, _LOOKS, "an hour of looks")
    warmup_count: int = setting(3, Number("looks", 0, 10**6, whole=True), "chosen: three minutes")
    outgrown_ratio: float = setting(
        1.5,
        Number("ratio", 1),
        "chosen: loads that swing by chance stay below",
    )
    outgrown_count: int = setting(10, _CYCLES, "chosen: more than an accident")
    outgrown_object_count: int = setting(
        1_000,
        Number("objects", 1, 10**9, whole=True),
        "twice the largest of 127 operations of real libraries, 433",
    )
    steady_count: int = setting(
        30, Number("looks", 6, 10**6, whole=True), "half an hour: no burst lasts as long"
    )
    steady_ratio: float = setting(0.2, Number("ratio", 0, above_minimum=True), "chosen: no drift")
    growth_count: int = setting(10, _LOOKS, "chosen: to name what grows takes a collection's time")
    explain_every_seconds: float = setting(60.0, _SECONDS, "one fork a minute")
    explain_pause_seconds: float = setting(0.01, _SECONDS, "what a request notices")
