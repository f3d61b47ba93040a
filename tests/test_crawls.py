"""A crawl visits each URL once, stays within its limits, and leaves nothing behind."""

import gc
import itertools
import sys
import threading
import tracemalloc
import weakref

import pytest

import memguard
from memguard.crawling.visited import VisitedUrls


def crawl(**settings):
    return memguard.Crawl(memguard.CrawlingSettings(**settings))


def url(number):
    return f"https://example.org/articles/{number}"


def test_each_url_is_taken_once_in_the_order_in_which_they_came():
    """Neither what waits nor what was visited is added again."""
    with crawl() as one:
        assert [one.add(url(n)) for n in (3, 1, 3, 2)] == [True, True, False, True]
        assert one.take() == url(3)
        assert not one.add(url(3))
        assert list(one) == [url(1), url(2)]
        assert one.take() is None
        counts = one.statistics()
    assert (counts.taken_count, counts.repeated_count, counts.peak_pending_count) == (3, 2, 3)


def test_links_may_be_added_while_the_crawl_goes_over_what_waits():
    """A page's links come after those that wait already."""
    links = {"a": "bc", "b": "ad", "c": "ad", "d": "a"}
    with crawl() as one:
        one.add("a")
        taken = []
        for page in one:
            taken.append(page)
            for link in links[page]:
                one.add(link)
    assert taken == ["a", "b", "c", "d"]


def test_the_oldest_visited_url_is_forgotten_first():
    """Then it is new again, and the others are not."""
    with crawl(max_visited_count=2) as one:
        for name in "abc":
            one.add(name)
        assert list(one) == ["a", "b", "c"]
        assert ["a" in one, "b" in one, "c" in one] == [False, True, True]
        assert one.statistics().forgotten_count == 1
        assert one.add("a")


@pytest.mark.parametrize("ratio", [None, 0.01])
def test_a_full_frontier_says_what_is_too_many_and_stays_as_it_is(ratio):
    """The error names the value, the limit, and what to do."""
    with crawl(max_pending_count=2, false_positive_ratio=ratio) as one:
        one.add("a")
        one.add("b")
        with pytest.raises(memguard.FrontierFullError, match=r"3 .*max_pending_count is 2; take"):
            one.add("c")
        assert not one.add("b")
        assert "c" not in one
        assert one.take() == "a"
        assert one.add("c")


def test_a_frontier_is_full_by_bytes_too():
    """Few URLs can be large; what is taken makes room."""
    with crawl(max_pending_bytes=3000) as one:
        one.add("a" * 1000)
        one.add("\xe4" * 300)
        with pytest.raises(memguard.FrontierFullError, match="max_pending_bytes is 3,000"):
            one.add("b" * 1000)
        one.take()
        assert one.add("b" * 1000)
        assert list(one) == ["\xe4" * 300, "b" * 1000]
        assert one._pending.url_bytes == 0


def test_a_visited_url_takes_as_much_whether_it_is_long_or_short():
    """A digest is kept of it, and no string."""
    held = []
    for length in (10, 100_000):
        visited = VisitedUrls(100)
        for number in range(100):
            assert visited.add(f"{number:0{length}}")
        held.append(visited.held_bytes)
    assert held[0] == held[1]


def test_what_is_visited_takes_no_more_memory_however_many_come():
    """The bound holds as traced, and the statistics say what is held."""
    visited = VisitedUrls(2000)
    tracemalloc.start()
    try:
        for number in range(20_000):
            visited.add(url(number))
        traced_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(visited) == 2000
    assert visited.forgotten_count == 18_000
    assert traced_bytes == pytest.approx(visited.held_bytes, rel=0.15)
    assert peak_bytes < 400 * 2000


def test_a_link_that_refers_to_its_page_keeps_it_not_alive():
    """Parsers give strings of a class of their own that hold the whole tree."""

    class Page:
        pass

    class Link(str):
        __slots__ = ("page",)

    page = Page()
    link = Link(url(1))
    link.page = page
    with crawl() as one:
        one.add(link)
        gone = weakref.ref(page)
        del page, link
        assert gone() is None
        assert type(one.take()) is str


@pytest.mark.parametrize("wrong", [b"https://example.org", None, 3])
def test_what_is_no_string_is_refused(wrong):
    """It would never be equal to a URL."""
    with crawl() as one, pytest.raises(TypeError):
        one.add(wrong)


def test_a_url_with_lone_surrogates_is_visited_too():
    """Hostile pages have them in links."""
    with crawl() as one:
        assert one.add("https://example.org/\ud800")
        one.take()
        assert not one.add("https://example.org/\ud800")


def test_cleaning_up_forgets_all_and_goes_on():
    """What was visited is new again; counts of what happened stay."""
    with crawl() as one:
        one.add("a")
        one.add("b")
        one.take()
        one.cleanup()
        assert len(one) == 0
        assert one.take() is None
        assert one.add("a")
        assert one.statistics().taken_count == 1


def test_a_closed_crawl_holds_nothing_and_says_that_it_is_closed():
    """Closing twice is fine, and statistics can still be read."""
    with crawl() as one:
        one.add("a")
    one.close()
    for use in (lambda: one.add("a"), one.take, one.__enter__):
        with pytest.raises(memguard.CrawlClosedError):
            use()
    assert one.statistics().pending_count == 0
    assert "closed" in repr(one)


def test_a_block_that_fails_closes_the_crawl():
    """The error passes."""
    with pytest.raises(ZeroDivisionError), crawl() as one:
        one.add(1 / 0)
    with pytest.raises(memguard.CrawlClosedError):
        one.take()


def test_a_crawl_is_in_no_cycle():
    """It goes when nobody has it, without the collector."""
    one = crawl()
    one.add("a")
    gone = weakref.ref(one)
    del one
    assert gone() is None
    assert gc.collect() == 0


def test_threads_take_each_url_once():
    """Adding and taking at once loses none and doubles none."""
    count, threads = 2000, 4
    taken = [[] for _ in range(threads)]
    with crawl() as one:
        start = threading.Barrier(threads)

        def work(own):
            start.wait()
            for number in range(count):
                one.add(url(number))
                if (page := one.take()) is not None:
                    own.append(page)

        workers = [threading.Thread(target=work, args=(own,)) for own in taken]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        finally:
            sys.setswitchinterval(interval)
        rest = list(one)
    assert sorted([*itertools.chain(*taken), *rest]) == sorted(url(n) for n in range(count))


def test_a_probable_crawl_misses_no_repetition():
    """What was visited is never taken for new, within what is remembered."""
    with crawl(false_positive_ratio=0.01, max_visited_count=1000) as one:
        for number in range(1000):
            one.add(url(number))
        list(one)
        assert not any(one.add(url(number)) for number in range(1000))


def test_a_probable_crawl_is_wrong_as_rarely_as_stated_and_stays_small():
    """Also when many more came than are remembered: two filters take turns."""
    count = 20_000
    with crawl(false_positive_ratio=0.02, max_visited_count=2000) as one:
        for number in range(count):
            one.add(url(number))
            one.take()
        found = one.statistics()
        wrong_count = sum(url(-number) in one for number in range(1, count))
    assert found.taken_count >= 0.98 * count
    assert found.repeated_count == count - found.taken_count
    # Three standard deviations above the stated rate.
    assert wrong_count <= 0.02 * count + 3 * (0.02 * count) ** 0.5
    assert 2000 <= found.visited_count <= 4000
    assert found.forgotten_count == found.taken_count - found.visited_count
    assert found.visited_bytes < 2000 * 4


def test_without_rbloom_a_probable_crawl_says_what_to_install(monkeypatch):
    """An exact one needs nothing."""
    monkeypatch.setitem(sys.modules, "rbloom", None)
    with crawl():
        pass
    with pytest.raises(memguard.MissingExtraError, match=r"rbloom.*pymemguard\[crawl\]"):
        crawl(false_positive_ratio=0.01)


def test_effectiveness_is_what_came_back_of_what_was_taken():
    """As the original report divides; nothing taken is all of it back."""
    assert memguard.CleanupEffectiveness(10, 110, 30).percent == 80
    assert memguard.CleanupEffectiveness(10, 110, 0).percent == 110
    assert memguard.CleanupEffectiveness(10, 10, 10).percent == 100


def test_a_meter_sees_what_a_crawl_takes_and_gives_back():
    """Real bytes of the allocators, not resident pages."""
    meter = memguard.CleanupMeter()
    with crawl() as one:
        for number in range(20_000):
            one.add(url(number))
        meter.look()
    found = meter.finish()
    assert found.peak_bytes - found.before_bytes > 20_000 * len(url(1))
    assert found.percent > 98
