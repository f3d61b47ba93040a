"""Programs of the standard library as services are made of them.

Covers: a command line, logging, a web server, a test run and a plugin, each
with something that fails.
"""

import argparse
import importlib.util
import io
import json
import logging.config
import tempfile
import threading
import unittest
import urllib.error
import urllib.request
import wsgiref.simple_server
from pathlib import Path


def command_line():
    """A parser with groups and subparsers."""
    parser = argparse.ArgumentParser(prog="tool")
    parser.add_argument("--verbose", action="store_true")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--fast", action="store_const", const=1)
    group.add_argument("--slow", action="store_const", const=2)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("run").add_argument("script", type=Path)
    options = parser.parse_args(["--fast", "run", "app.py"])
    assert options.script == Path("app.py")
    parser.format_help()


def logging_handlers():
    """A configuration from a dict, and an exception logged."""
    stream = io.StringIO()
    logging.config.dictConfig(
        {
            "version": 1,
            "formatters": {"plain": {"format": "%(levelname)s %(message)s"}},
            "handlers": {
                "stream": {"class": "logging.StreamHandler", "formatter": "plain", "stream": stream}
            },
            "loggers": {"app": {"handlers": ["stream"], "propagate": False}},
        }
    )
    log = logging.getLogger("app")
    try:
        json.loads("{")
    except json.JSONDecodeError:
        log.exception("bad document")
    logging.config.dictConfig({"version": 1, "loggers": {"app": {"handlers": []}}})


def web_server():
    """A server on the loopback, asked for a page that is not there."""

    def application(environ, start_response):
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [environ["PATH_INFO"].encode()]

    class Quiet(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, *args):
            pass

    with wsgiref.simple_server.make_server(
        "127.0.0.1", 0, application, handler_class=Quiet
    ) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            opener.open(f"http://127.0.0.1:{server.server_port}/missing")
        except urllib.error.HTTPError as error:
            error.read()
            error.close()
        thread.join()


def failing_test():
    """A run with a failing and an erroneous test."""

    class Case(unittest.TestCase):
        def test_fails(self):
            with self.subTest(number=1):
                self.fail("not yet")

        def test_errs(self):
            with self.assertRaises(KeyError) as caught:  # noqa: PT027 - unittest is meant
                {}["missing"]
            self.caught = caught
            raise caught.exception

    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Case)
    result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
    assert (len(result.failures), len(result.errors)) == (1, 1)


PLUGIN = """
import contextvars

registry = []
current = contextvars.ContextVar("current", default=registry)

def register(function):
    registry.append(function)
    return function

@register
def greet(name, seen=[]):
    seen.append(greet)
    return lambda: greet(name)

register(greet("plugin"))
"""


def dropped_plugin():
    """A plugin loaded from a file and dropped."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plugin.py")
        path.write_text(PLUGIN)
        spec = importlib.util.spec_from_file_location("plugin", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert len(module.registry) == 2
