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
