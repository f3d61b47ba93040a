"""Alerts as HTTP requests.

Covers: a queue, a thread that empties it, and trying again.
Does not cover: when there is an alert (``memguard.pressure.alerts``).

Needs the extra ``webhook``, which is httpx.
"""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from memguard.pressure.alerts import Alert, describe

if TYPE_CHECKING:
    import httpx

_LOG = logging.getLogger("memguard.exporters")

MOST_WAITING = 100
MOST_TRIES = 4
FIRST_PAUSE_SECONDS = 0.5
TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class WebhookStatistics:
    """What was sent.

    Attributes:
        sent_count: Alerts that were taken.
        failed_count: Alerts that were not, after all tries.
        dropped_count: Alerts that found the queue full, or the webhook closed.
    """

    sent_count: int = 0
    failed_count: int = 0
    dropped_count: int = 0


class Webhook:
    """Post each alert as JSON: its fields, its kind, and a sentence as "text".

    To be given to ``MemoryPressureAlertSystem.on_alert``; a call never waits for the
    network. Alerts go one by one, in their order. One that is not taken is tried
    again three times, in growing pauses; then it is logged and counted.

    Args:
        url: Where to.
        client: Sends the requests; None makes one with a timeout of 5 s.
        wait: Waits for a pause [s], and says whether to give up; for tests.

    Thread-safety:
        Any thread; one daemon thread sends, until `close`.
    """

    def __init__(
        self,
        url: str,
        *,
        client: "httpx.Client | None" = None,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        # Only who wants it needs the package.
        import httpx

        self._url = url
        self._error = httpx.HTTPError
        self._owns_client = client is None
        self._client = client or httpx.Client(timeout=TIMEOUT_SECONDS)
        self._closing = threading.Event()
        self._wait = wait or self._closing.wait
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(WebhookStatistics.__slots__, 0)
        self._queue: queue.Queue[Alert | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._send_all, name="memguard-webhook", daemon=True)
        self._thread.start()

    def __call__(self, event: Alert) -> None:
        """Take an alert to be sent."""
        with self._lock:
            is_full = self._closing.is_set()
            if not is_full:
                try:
                    self._queue.put_nowait(event)
                except queue.Full:
                    is_full = True
        if is_full:
            self._count("dropped_count")
            _LOG.warning("an alert was not sent, for too many wait: %s", describe(event))

    def statistics(self) -> WebhookStatistics:
        """Say what was sent so far."""
        with self._lock:
            return WebhookStatistics(**self._counts)

    def close(self) -> None:
        """Send what waits, each once, and end; to do it again does nothing."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
        self._queue.put(None)
        self._thread.join()
        if self._owns_client:
            self._client.close()

    def _send_all(self) -> None:
        while (event := self._queue.get()) is not None:
            try:
                self._send(event)
            except Exception:  # the client is somebody else's; the next alert must go out
                self._count("failed_count")
                _LOG.exception("an alert was not sent: %s", describe(event))

    def _send(self, event: Alert) -> None:
        pause_seconds = FIRST_PAUSE_SECONDS
        for tries in range(1, MOST_TRIES + 1):
            try:
                self._client.post(self._url, json=_document(event)).raise_for_status()
            except self._error as error:
                if tries == MOST_TRIES or self._wait(pause_seconds):
                    self._count("failed_count")
                    _LOG.error(  # what is wrong is at the other end
                        "an alert was not sent, after %d tries: %s: %s",
                        tries,
                        describe(event),
                        error,
                    )
                    return
                pause_seconds *= 2
            else:
                self._count("sent_count")
                return

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1

    def __enter__(self) -> "Webhook":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _document(event: Alert) -> dict[str, Any]:
    return {"kind": type(event).__name__, "text": describe(event), **asdict(event)}
