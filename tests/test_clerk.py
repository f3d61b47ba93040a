"""What is to be written down is, one after another, and nobody waits for it without end."""

import asyncio
import threading

from memguard.oversight.clerk import Clerk


def test_what_is_asked_for_at_the_end_is_done_all_the_same():
    """Before it by the thread, after it where it is asked for; no moment lies between."""
    for _ in range(200):
        clerk = Clerk(is_needed=True)
        done = []
        begun = threading.Event()

        def submit(clerk=clerk, done=done, begun=begun):
            for number in range(50):
                clerk.submit(lambda number=number: done.append(number))
                begun.set()

        other = threading.Thread(target=submit)
        other.start()
        assert begun.wait(10)
        clerk.close(60)
        other.join()
        assert sorted(done) == list(range(50))


def test_work_that_raises_is_no_end(caplog):
    """What comes after it is done, and that it raised is logged."""
    clerk = Clerk(is_needed=True)
    clerk.submit(lambda: 1 / 0)
    assert asyncio.run(clerk.run(lambda: 5)) == 5
    clerk.close(60)
    assert "ZeroDivisionError" in caplog.text


def test_who_asks_on_the_thread_itself_does_not_wait_for_it():
    """As a listener does that asks in its turn."""
    clerk = Clerk(is_needed=True)
    assert clerk.call(lambda: clerk.call(lambda: 5).result(10)).result(10) == 5
    clerk.close(60)


def test_a_clerk_that_nobody_has_any_more_ends():
    """With its thread."""
    clerk = Clerk(is_needed=True)
    clerk.call(lambda: None).result(10)
    thread = clerk._thread
    del clerk
    thread.join(60)
    assert not thread.is_alive()
