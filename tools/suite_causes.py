"""What the plugin finds in the test suites of other people's packages, explained.

Covers: which packages, why each shape is there, and repairs that prove it.
Does not cover: running them (``look_at_suites``).
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Cause:
    """Why cycles are there.

    Attributes:
        patterns: Their paths; ``*`` stands for any text.
        whose: "library", "test" or "runtime".
        text: What it is and what would end it.
        is_repaired: Whether one of the repairs of the suite is meant to.
    """

    patterns: tuple[str, ...]
    whose: str
    text: str
    is_repaired: bool = False


@dataclass(frozen=True, slots=True)
class Repair:
    """A change of one file of a package, or of the source distribution with its tests."""

    file: str
    old: str
    new: str
    is_in_tests: bool = False


@dataclass(frozen=True, slots=True)
class Suite:
    """A package, what its tests need, and what is found in them."""

    name: str
    version: str
    needs: tuple[str, ...]
    causes: tuple[Cause, ...]
    repairs: tuple[Repair, ...]

    def cause_of(self, path: str) -> Cause | None:
        """Give the first cause that a path matches."""
        plain = path.replace("[", "(").replace("]", ")")
        for cause in self.causes:
            if any(fnmatchcase(plain, pattern) for pattern in cause.patterns):
                return cause
        return None


_TRIO = Cause(
    ("trio.Nursery.*",),
    "runtime",
    "What trio leaves of each `trio.run()`, once a test that runs in it: nursery, task and runner"
    " refer to each other. A run of a function that only sleeps leaves it, too. What asyncio leaves"
    " is left out as the standard library's; allow this with `memguard_allow = trio.Nursery`.",
)
_CONTEXT_MANAGER = Cause(
    ("*frame _GeneratorContextManager.__exit__().<local value> -> *",),
    "runtime",
    "An exception that ends in a function with `@contextmanager`, or is turned into another one"
    " there. From CPython 3.12 on its traceback holds the generator's frame, that one the frame of"
    " `contextlib`'s `__exit__`, which called it, and the local `value` there the exception. Three"
    " lines show it, and on 3.11 they leave nothing.",
)
_CLICK_RUNNER = Cause(
    ("*frame CliRunner.invoke().<local exc*",),
    "library",
    "`click/testing.py`, `CliRunner.invoke`: the locals `exc_info` and `exception` hold the"
    " traceback of the frame that they are in. Clear both in a `finally`.",
    is_repaired=True,
)
_CLICK_REPORT = Cause(
    ("*frame Command.main().<local report> -> *",),
    "library",
    "`click/core.py`, `Command.main`: the local `report` is the method `show` of the exception"
    " whose traceback holds the frame. Clear it once called.",
    is_repaired=True,
)

CLICK = Suite(
    "click",
    "8.5.1",
    (),
    (
        _CONTEXT_MANAGER,
        _CLICK_RUNNER,
        _CLICK_REPORT,
        Cause(
            ("click.testing.Result.exc_info -> *.<local inner_result> -> *",),
            "test",
            "A command of a test runs another one and keeps the result in a local: its `exc_info`"
            " leads from frame to frame to the command that called.",
        ),
        Cause(
            ("test_context.*Option.callback -> method.__self__ -> *",),
            "test",
            "A bound method registered on self: an option of the test gives its own method as its"
            " callback. A `weakref.WeakMethod`, or a method that the base class calls.",
        ),
        Cause(
            ("class ipykernel.faked.*",),
            "test",
            "A class that the test defines and gives the name of another module, so that it no"
            " longer counts as the test's own.",
        ),
        Cause(
            ("click.core.Command.callback -> function test_*.<closure cli> -> *",),
            "test",
            "A command that the test defines, whose function runs the command itself.",
        ),
    ),
    (
        Repair(
            "testing.py",
            "        return Result(\n            runner=self,",
            "        try:\n          return Result(\n            runner=self,",
        ),
        Repair(
            "testing.py",
            "            exc_info=exc_info,  # type: ignore\n        )\n",
            "            exc_info=exc_info,  # type: ignore\n        )\n"
            "        finally:\n            exc_info = exception = None\n",
        ),
        Repair(
            "core.py",
            "                report()\n\n            sys.exit(exit_code)",
            "                try:\n                    report()\n                finally:\n"
            "                    report = None\n\n            sys.exit(exit_code)",
        ),
    ),
)

HTTPX = Suite(
    "httpx",
    "0.28.1",
    (
        "anyio",
        "chardet",
        "click",
        "h2",
        "rich",
        "pygments",
        "socksio",
        "trio",
        "trustme",
        "uvicorn",
        "brotli",
        "zstandard",
    ),
    (
        Cause(
            (
                "httpx.Response.stream -> httpx._client.BoundSyncStream._response -> *",
                "httpx.Response.stream -> httpx._client.BoundAsyncStream._response -> *",
            ),
            "library",
            "`httpx/_client.py`: a response owns its stream, which refers back to set `elapsed`"
            " once it is closed. A child that refers to its owner: make `_response` weak.",
            is_repaired=True,
        ),
        _CONTEXT_MANAGER,
        _TRIO,
        Cause(
            ("*frame CliRunner.invoke()*",),
            "library",
            "`click/testing.py`, as above: httpx tests its command line with it.",
        ),
        Cause(
            ("frame TaskGroup._spawn.<locals>.task_done().<local exc> -> *",),
            "library",
            "`anyio/_backends/_asyncio.py`, `TaskGroup._spawn`: `task_done` asks the task for its"
            " exception, which is raised there, and keeps it in its local `exc`. With `exc = None`"
            " at its end the two tests leave none.",
        ),
        Cause(
            (
                "*frame WSGITransport.handle_request().<local seen_exc_info> -> *raise_exc()*",
                "frame raise_exc().<local exc_info> -> *",
            ),
            "library",
            "`httpx/_transports/wsgi.py`: the local `seen_exc_info` holds a traceback, whose"
            " frames lead back to it; so does `exc_info` in the application of the tests. Clear"
            " both once the exception is raised, or handed over.",
            is_repaired=True,
        ),
    ),
    (
        Repair(
            "_client.py",
            "        self._response = response\n",
            "        self._response = weakref.proxy(response)\n",
        ),
        Repair("_client.py", "import warnings\n", "import warnings\nimport weakref\n"),
        Repair(
            "_transports/wsgi.py",
            "            raise seen_exc_info[1]\n",
            "            try:\n                raise seen_exc_info[1]\n            finally:\n"
            "                seen_exc_info = None\n",
        ),
        Repair(
            "tests/test_wsgi.py",
            "        start_response(status, response_headers, exc_info)\n",
            "        start_response(status, response_headers, exc_info)\n        del exc_info\n",
            is_in_tests=True,
        ),
    ),
)

JINJA2 = Suite(
    "jinja2",
    "3.1.6",
    ("trio",),
    (
        Cause(
            (
                "jinja2.environment.Template.root_render_func -> function *",
                "jinja2.nativetypes.NativeTemplate.root_render_func -> function *",
                "function root().<global root> -> *",
                "function block_*().<global block*> -> *",
            ),
            "library",
            "`jinja2/environment.py`, `Template.from_code`: a template is a namespace of its own,"
            " whose functions refer to it, and it to them and, for tracebacks, to the template."
            " Take `root` out once it is read, and make `__jinja_template__` weak. Blocks, which"
            " find themselves by name, stay; load each template once, as the plugin says.",
            is_repaired=True,
        ),
        Cause(
            (
                "jinja2.environment.Environment.cache -> *",
                "jinja2.environment.Template.environment -> *Environment.cache -> *",
            ),
            "library",
            "An environment caches its templates, each of which refers to it: owner and child by"
            " design, one for each environment. Programs make one.",
        ),
        Cause(
            ("jinja2.environment.Environment.extensions -> *",),
            "library",
            "An environment and its extensions, by design, one for each environment.",
        ),
        _TRIO,
        Cause(
            ("*frame Runner.run().<local task> -> *", "*Runner.main_task_outcome -> *"),
            "runtime",
            "An exception that ends `asyncio.run()` or `trio.run()` holds the frames of the"
            " runner, and those the task with its exception.",
        ),
        Cause(
            (
                "*frame fake_traceback()*",
                "*frame rewrite_traceback_stack()*",
                "_pytest._code.code.ExceptionInfo._excinfo -> *TestDebug.*",
            ),
            "library",
            "`jinja2/debug.py`: each error gets a traceback that points into the template; the"
            " frames that make it keep the exception in `exc_value` and `__jinja_exception__`, and"
            " tracebacks in `tb`, `fake_tb`, `tb_next` and `stack`. Clear them in a `finally`."
            " (Where a helper of the tests uses `pytest.raises`, the line begins there.)",
            is_repaired=True,
        ),
        Cause(
            ("jinja2.runtime.Context.vars -> *", "jinja2.runtime.Macro._func -> *"),
            "library",
            "`{% macro %}`: the context lists the macro, whose compiled function closes over the"
            " context, its method `resolve` or the macro itself. Once for each rendering that"
            " defines one.",
        ),
        Cause(
            ("class jinja2.runtime.make_logging_undefined.*",),
            "library",
            "A class made by each call of `make_logging_undefined`. Call it once.",
        ),
        Cause(
            ("jinja2.compiler.CodeGenerator._finalize -> *",),
            "library",
            "`jinja2/compiler.py`: the code generator keeps a function that closes over it.",
        ),
        Cause(
            ("jinja2.environment.TemplateStream._next -> *",),
            "library",
            "A stream keeps the generator that iterates over it, until it is exhausted.",
        ),
        Cause(
            ("class test_*", "test_bytecode_cache.MockMemcached.get -> *"),
            "test",
            "Classes that tests make with `namedtuple()`, and a mock that replaces its own method"
            " on the instance.",
        ),
    ),
    (
        Repair(
            "environment.py",
            'namespace["__jinja_template__"] = t\n',
            'namespace["__jinja_template__"] = weakref.ref(t)\n',
        ),
        Repair(
            "debug.py",
            'template = tb.tb_frame.f_globals.get("__jinja_template__")\n',
            'template = tb.tb_frame.f_globals.get("__jinja_template__", lambda: None)()\n',
        ),
        Repair(
            "environment.py",
            "environment, namespace, globals)\n        rv._uptodate",
            'environment, namespace, globals)\n        del namespace["root"]\n        rv._uptodate',
        ),
        Repair(
            "debug.py",
            "    return exc_value.with_traceback(tb_next)\n",
            "    try:\n        return exc_value.with_traceback(tb_next)\n    finally:\n"
            "        exc_value = tb = tb_next = fake_tb = stack = None\n",
        ),
        Repair(
            "debug.py",
            "        return sys.exc_info()[2].tb_next  # type: ignore\n",
            "        return sys.exc_info()[2].tb_next  # type: ignore\n    finally:\n"
            '        del globals["__jinja_exception__"]\n'
            "        exc_value = tb = locals = None\n",
        ),
    ),
)

SUITES = (CLICK, HTTPX, JINJA2)
