"""Libraries of every day: graphs, retries, command lines and a test run."""

import contextlib
import io
import tempfile
from pathlib import Path

import click
import click.testing
import networkx
import pytest
import tenacity


def graph_views():
    """Graphs with cached views, a subgraph and a node that is not there."""
    graph = networkx.karate_club_graph()
    digraph = graph.to_directed()
    assert networkx.is_strongly_connected(digraph)
    view = digraph.subgraph(range(10)).reverse(copy=False)
    assert view.number_of_nodes() == len(view.nodes) == 10
    try:
        networkx.shortest_path(graph, 0, "nowhere")
    except networkx.NodeNotFound as error:
        failure = error
    assert "nowhere" in str(failure)


def retries():
    """A call retried three times that keeps failing."""

    @tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_none())
    def call():
        raise ConnectionError("no route")

    try:
        call()
    except tenacity.RetryError as error:
        attempt = error.last_attempt
    assert attempt.failed


def command_line():
    """A group of commands built per call, one of which fails."""

    @click.group()
    @click.pass_context
    def tool(context):
        context.obj = {"context": context}

    @tool.command()
    @click.option("--count", default=1)
    @click.pass_obj
    def run(shared, count):
        raise ValueError(shared["context"].info_name)

    result = click.testing.CliRunner().invoke(tool, ["run", "--count", "2"])
    assert isinstance(result.exception, ValueError)


TESTS = """
import pytest

@pytest.fixture
def numbers():
    yield [1, 2, 3]

@pytest.mark.parametrize("number", [1, 4])
def test_number(numbers, number):
    assert number in numbers
"""


def pytest_run():
    """A run of pytest within the process, one of two tests fails."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_numbers.py").write_text(TESTS)
        with contextlib.redirect_stdout(io.StringIO()):
            # One of the plugins that are installed starts a thread that never ends.
            options = ["-q", "--import-mode=importlib", "--disable-plugin-autoload"]
            code = pytest.main([folder, *options, "--rootdir", folder])
    assert code == pytest.ExitCode.TESTS_FAILED
