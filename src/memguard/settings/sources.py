"""Where settings come from: arguments, variables, a file.

Covers: reading them, which of two wins, and errors that say where a wrong one
came from.
Does not cover: what may be given, which stands with each setting.
"""

import dataclasses
import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from memguard.errors import SettingError, UnknownSettingError, UnreadableSettingsError
from memguard.settings.guard import GuardSettings
from memguard.settings.values import Room

PREFIX = "MEMGUARD_"
FILE_VARIABLE = "MEMGUARD_CONFIG"
SHORT_VARIABLES = {"MEMGUARD_MEMORY_LIMIT": "pressure.limit_bytes"}
"""Variables that have a name of their own beside the regular one."""

FILE_NAMES = ("memguard.toml", "pyproject.toml")
_OTHER_VARIABLES = frozenset({FILE_VARIABLE, "MEMGUARD_BUILD", "MEMGUARD_RUNTIME_DIR"})
_ARGUMENT = "an argument"

_ROOMS: dict[str, type[Room]] = {
    known.name: known.default_factory  # type: ignore[misc]
    for known in dataclasses.fields(GuardSettings)
}
_KEYS = tuple(f"{name}.{key}" for name, room in _ROOMS.items() for key, _ in room.kinds())


@dataclasses.dataclass(frozen=True, slots=True)
class _Given:
    key: str
    value: object
    origin: str


def load_settings(
    file: str | os.PathLike[str] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    **rooms: Mapping[str, Any] | Room,
) -> GuardSettings:
    """Read settings from everywhere they may stand.

    An argument wins over a variable, a variable over the file, the file over
    the default; each setting by itself.

    Args:
        file: A TOML file, in which each room is a table; of a ``pyproject.toml``
            the tables below ``[tool.memguard]``. None takes the file that
            ``MEMGUARD_CONFIG`` names, else ``memguard.toml`` or ``pyproject.toml``
            of the current directory where one is there.
        environment: Variables, ``os.environ`` for None; ``MEMGUARD_PRESSURE_REFUSE_RATIO``
            sets ``pressure.refuse_ratio``.
        **rooms: For each room some of its settings, or all of them as its class.

    Raises:
        UnknownSettingError: There is no setting of that name.
        WrongSettingError: A value is outside its range.
        UnreadableSettingsError: The file cannot be read.
    """
    variables = os.environ if environment is None else environment
    given = [
        *_from_file(_find_file(file, variables)),
        *_from_variables(variables),
        *_from_arguments(rooms),
    ]
    values: dict[str, dict[str, object]] = {name: {} for name in _ROOMS}
    origins = {}
    for one in given:
        if one.key not in _KEYS:
            raise UnknownSettingError(one.key, one.origin, _closest(one.key))
        room, _, key = one.key.partition(".")
        values[room][key] = one.value
        origins[one.key] = one.origin
    made: dict[str, Any] = {}
    for name, room_class in _ROOMS.items():
        try:
            made[name] = room_class(**values[name])
        except SettingError as error:
            raise error.coming_from(origins.get(error.key, "the default")) from None
    return GuardSettings(**made)


def _closest(key: str) -> str:
    matches = difflib.get_close_matches(key, _KEYS, n=1, cutoff=0)
    return matches[0]


def _find_file(file: str | os.PathLike[str] | None, variables: Mapping[str, str]) -> Path | None:
    if file is not None:
        return Path(file)
    if variables.get(FILE_VARIABLE):
        return Path(variables[FILE_VARIABLE])
    return next((Path(name) for name in FILE_NAMES if Path(name).is_file()), None)


def _from_file(path: Path | None) -> Iterator[_Given]:
    if path is None:
        return
    # Only who has a file needs what reads it.
    import tomllib

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableSettingsError(path, str(error)) from error
    origin = f"the file {path}"
    if path.name == "pyproject.toml":
        origin = f"[tool.memguard] of {path}"
        tool = document.get("tool", {})
        document = tool.get("memguard", {}) if isinstance(tool, dict) else {}
    if not isinstance(document, dict):
        raise UnreadableSettingsError(path, "tool.memguard is no table")
    for room, table in document.items():
        if not isinstance(table, dict):
            raise UnknownSettingError(room, origin, _closest(room))
        yield from _of_room(room, table, origin)


def _from_variables(variables: Mapping[str, str]) -> Iterator[_Given]:
    regular = {PREFIX + key.upper().replace(".", "_"): key for key in _KEYS}
    # The regular name of a setting wins over its short one.
    for name in sorted(variables, key=lambda name: name not in SHORT_VARIABLES):
        if name.startswith(PREFIX) and name not in _OTHER_VARIABLES:
            key = SHORT_VARIABLES.get(name) or regular.get(name)
            if key is None:
                names = [*regular, *SHORT_VARIABLES]
                (closest,) = difflib.get_close_matches(name, names, n=1, cutoff=0)
                raise UnknownSettingError(name, "the environment", closest)
            yield _Given(key, variables[name], f"the variable {name}")


def _from_arguments(rooms: Mapping[str, Mapping[str, Any] | Room]) -> Iterator[_Given]:
    for room, table in rooms.items():
        if isinstance(table, Room):
            if not isinstance(table, _ROOMS.get(room, ())):
                raise UnknownSettingError(f"{room}: {type(table).__name__}", _ARGUMENT, table.name)
            table = {key: getattr(table, key) for key, _ in table.kinds()}
        yield from _of_room(room, table, _ARGUMENT)


def _of_room(room: str, table: Mapping[str, object], origin: str) -> Iterator[_Given]:
    if room not in _ROOMS:
        (closest,) = difflib.get_close_matches(room, _ROOMS, n=1, cutoff=0)
        raise UnknownSettingError(room, origin, closest)
    for key, value in table.items():
        yield _Given(f"{room}.{key}", value, origin)
