"""Alerts that are posted."""

import json
import logging
import threading

import pytest

httpx = pytest.importorskip("httpx")

from memguard.exporters.webhook import MOST_WAITING, Webhook, WebhookStatistics  # noqa: E402
from memguard.pressure.alerts import MemoryPressureAlertSystem  # noqa: E402
from memguard.pressure.events import AlertRaised  # noqa: E402

ALERT = AlertRaised("memory", "warning", "normal", 70.0, 60.0)


class Server:
    """Stands for the other end, and answers as it is told."""

    def __init__(self, *statuses):
        self.statuses = list(statuses)
        self.taken = []
        self.pauses = []
        self.gate = threading.Event()
        self.gate.set()
        self.client = httpx.Client(transport=httpx.MockTransport(self.answer))

    def answer(self, request):
        self.gate.wait()
        self.taken.append(json.loads(request.content))
        status = self.statuses.pop(0) if self.statuses else 204
        if status is None:
            raise httpx.ConnectError("nobody is there")
        return httpx.Response(status)

    def hook(self):
        return Webhook(
            "http://alerts.example/hook",
            client=self.client,
            wait=lambda seconds: self.pauses.append(seconds),
        )


def test_an_alert_is_posted_with_its_fields_and_a_sentence():
    """By a system that it was given to."""
    server, system = Server(), MemoryPressureAlertSystem()
    with server.hook() as hook:
        system.on_alert(hook)
        for _ in range(5):
            system.check_memory_pressure(97, 100)
    assert server.taken == [
        {
            "kind": "AlertRaised",
            "text": "emergency: memory at 97.0%, the threshold is 95%",
            "quantity": "memory",
            "level": "emergency",
            "previous": "normal",
            "value": 97.0,
            "threshold": 95,
            "held_back_count": 0,
        }
    ]
    assert hook.statistics() == WebhookStatistics(sent_count=1)


def test_what_is_not_taken_is_tried_again_in_growing_pauses():
    """An error of the server and one of the network alike."""
    server = Server(500, None, 503, 200)
    with server.hook() as hook:
        hook(ALERT)
    assert server.pauses == [0.5, 1.0, 2.0]
    assert hook.statistics() == WebhookStatistics(sent_count=1)


def test_what_is_never_taken_is_logged_and_counted(caplog):
    """And the next one goes out."""
    server = Server(500, 500, 500, 500, 200)
    with caplog.at_level(logging.ERROR, logger="memguard.exporters"), server.hook() as hook:
        hook(ALERT)
        hook(ALERT)
    assert hook.statistics() == WebhookStatistics(sent_count=1, failed_count=1)
    assert "after 4 tries: warning: memory at 70.0%" in caplog.text


def test_too_many_alerts_are_dropped_and_said(caplog):
    """The program never waits for the network."""
    server = Server()
    server.gate.clear()
    hook = server.hook()
    with caplog.at_level(logging.WARNING, logger="memguard.exporters"):
        for _ in range(MOST_WAITING + 2):
            hook(ALERT)
        server.gate.set()
        hook.close()
        hook.close()
        hook(ALERT)
    statistics = hook.statistics()
    assert statistics.dropped_count in (2, 3)  # one may be on its way already
    assert statistics.sent_count + statistics.dropped_count == MOST_WAITING + 3
    assert "too many wait" in caplog.text


def test_a_client_that_breaks_does_not_end_the_sending(caplog):
    """It is logged like any other failure."""
    server = Server()
    hook = server.hook()

    class Broken:
        def post(self, *arguments, **options):
            hook._client = server.client
            raise RuntimeError("broken")

    hook._client = Broken()
    with caplog.at_level(logging.ERROR, logger="memguard.exporters"), hook:
        hook(ALERT)
        hook(ALERT)
    assert hook.statistics() == WebhookStatistics(sent_count=1, failed_count=1)
