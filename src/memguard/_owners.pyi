SHARED: int
NOBODY: int
UNHELD: int
UNTRACKED: int

_Amount = tuple[int, int]

def weigh_owners(
    asked: tuple[object, ...],
    own_folder: str,
    mark_owners: list[int],
    owner_threads: list[int],
    first_of_garbage: int = ...,
    question: object = None,
) -> tuple[
    list[tuple[int, int, int, int, int]],
    list[tuple[int, int, int]],
    _Amount,
    _Amount,
    int,
    int,
    float,
]: ...
def find_instances(types: tuple[type, ...]) -> list[object]: ...
def thread_data() -> list[tuple[int, object]]: ...
