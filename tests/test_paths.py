"""The line that stands for a shape: whose references it names."""

import memguard


class Keeper:
    pass


def fails():
    try:
        raise KeyError
    except KeyError as error:
        saved = error  # noqa: F841


def suspends(keeper):
    yield keeper


async def waits(keeper):
    await keeper


def only_path(report):
    (shape,) = report.shapes
    return shape.path


def test_a_frame_is_shown_with_its_function():
    """Without it, every function that keeps its own exception would read alike."""
    with memguard.scan_created(fails) as report:
        assert only_path(report) == (
            "frame fails().<local saved> -> KeyError.__traceback__ -> traceback.tb_frame"
            " -> frame fails()"
        )


def test_a_suspended_generator_is_shown_with_its_function():
    """The function tells where to look; the type is the same for all."""

    def leak():
        keeper = Keeper()
        keeper.work = suspends(keeper)
        next(keeper.work)

    with memguard.scan_created(leak) as report:
        assert only_path(report) == (
            "test_paths.Keeper.work -> generator suspends().<local keeper> -> test_paths.Keeper"
        )


def test_a_waiting_coroutine_is_shown_with_its_function():
    """Likewise, also when it never began."""

    def leak():
        keeper = Keeper()
        keeper.work = waits(keeper)
        kept.append(keeper)

    kept = []
    with memguard.scan_created(leak) as report:
        assert only_path(report) == (
            "test_paths.Keeper.work -> coroutine waits().<local keeper> -> test_paths.Keeper"
        )
    kept.pop().work.close()


def test_equal_steps_in_a_row_are_written_once():
    """A chain of ten links says as much as one, and the ends are easier to see."""

    def leak():
        keeper = Keeper()
        keeper.chain = [keeper]
        for _ in range(9):
            keeper.chain = [keeper.chain]

    with memguard.scan_created(leak) as report:
        assert only_path(report) == (
            "test_paths.Keeper.chain -> list[0] (10 times) -> test_paths.Keeper"
        )
        assert len(report.shapes[0].edges) == 11


def call_back(keeper):
    return lambda: keeper


def test_what_says_nothing_is_folded_and_shown_when_asked_for():
    """A tuple of one is such a step."""

    def leak():
        keeper = Keeper()
        keeper.only = (keeper,)

    with memguard.scan_created(leak) as report:
        (shape,) = report.shapes
        assert shape.path == "test_paths.Keeper.only[0] -> test_paths.Keeper"
        assert shape.verbose_path == ("test_paths.Keeper.only -> tuple[0] -> test_paths.Keeper")
        assert shape.path in report.to_text(width=1000)
        assert shape.verbose_path in report.to_text(width=1000, verbose=True)


def test_the_dict_of_an_instance_is_folded_and_shown_when_asked_for():
    """Python makes a dict for some instances and not for others."""

    def leak():
        keeper = Keeper()
        keeper.__dict__ = {"only": keeper}

    with memguard.scan_created(leak) as report:
        (shape,) = report.shapes
        assert shape.path == "test_paths.Keeper.only -> test_paths.Keeper"
        assert shape.verbose_path == (
            "test_paths.Keeper.__dict__ -> dict[.only] -> test_paths.Keeper"
        )


def test_a_closure_variable_reads_as_one_step():
    """Function, tuple and cell are what it is made of."""

    def leak():
        keeper = Keeper()
        keeper.callback = call_back(keeper)

    with memguard.scan_created(leak) as report:
        (shape,) = report.shapes
        function = "function call_back.<locals>.<lambda>()"
        assert shape.path == (
            f"test_paths.Keeper.callback -> {function}.<closure keeper> -> test_paths.Keeper"
        )
        assert shape.verbose_path == (
            f"test_paths.Keeper.callback -> {function}.__closure__ -> tuple[keeper]"
            " -> cell.cell_contents -> test_paths.Keeper"
        )


def test_a_dict_that_was_asked_for_does_not_change_the_path():
    """Whether a program has touched ``__dict__`` says nothing about its cycle."""
    paths = set()
    for touch in (vars, id):

        def leak(touch=touch):
            keeper = Keeper()
            touch(keeper)
            keeper.loop = keeper

        with memguard.scan_created(leak) as report:
            paths.add((report.shapes[0].path, report.shapes[0].key))
    assert len(paths) == 1
