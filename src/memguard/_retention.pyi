from types import CodeType

_Root = tuple[str, CodeType | None, int, int]

def find_ways(
    asked: tuple[object, ...],
    own_folder: str,
    most_ways: int,
    weighs: bool,
    asker_holds: bool = False,
    own_root: object = None,
) -> tuple[list[tuple[int, _Root, list[object], int]], int, int, int, int, float]: ...
def keys_of(dict_: object, targets: list[object]) -> list[tuple[object] | None]: ...
def indices_of(items: object, targets: list[object]) -> list[int | None]: ...
