"""Which programs there are, without importing any of them."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Program:
    """A function without arguments that uses a library and drops all it made.

    Attributes:
        module: Where it is, in this package.
        function: Its name; its docstring is its title.
        libraries: What it is about, the first most: modules of the standard
            library, or distributions that have to be installed for it.
    """

    module: str
    function: str
    libraries: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the command line and the tests call it."""
        return f"{self.module}.{self.function}"

    def load(self) -> Callable[[], object]:
        """Import it."""
        return getattr(importlib.import_module(f"real_programs.{self.module}"), self.function)


STANDARD_LIBRARY = (
    Program("concurrency", "failing_task_group", ("asyncio",)),
    Program("concurrency", "pending_task", ("asyncio",)),
    Program("concurrency", "queue_workers", ("asyncio",)),
    Program("concurrency", "thread_pool", ("concurrent.futures",)),
    Program("concurrency", "suspended_generators", ("contextlib",)),
    Program("trees", "minidom", ("xml.dom.minidom",)),
    Program("trees", "page_and_message", ("html.parser", "email")),
    Program("trees", "callbacks_from_c", ("ctypes",)),
    Program("trees", "database", ("sqlite3",)),
    Program("classes", "mocks", ("unittest.mock",)),
    Program("classes", "caches", ("functools",)),
    Program("classes", "classes_made_at_run_time", ("dataclasses", "enum", "typing")),
    Program("services", "command_line", ("argparse",)),
    Program("services", "logging_handlers", ("logging",)),
    Program("services", "web_server", ("wsgiref", "urllib.request")),
    Program("services", "failing_test", ("unittest",)),
    Program("services", "dropped_plugin", ("importlib",)),
)

LIBRARIES = (
    Program("langgraph_agents", "chat_shared", ("langgraph", "langchain-core")),
    Program("langgraph_agents", "chat_per_request", ("langgraph", "langchain-core")),
    Program("langgraph_agents", "failing_node", ("langgraph", "langchain-core")),
    Program("langgraph_agents", "failing_branch", ("langgraph", "langchain-core")),
    Program("langgraph_agents", "tool_agent", ("langchain", "langgraph")),
    Program("openai_agents", "tool_and_handoff", ("openai-agents",)),
    Program("openai_agents", "failing_model", ("openai-agents",)),
    Program("pydantic_agents", "typed_answer", ("pydantic-ai-slim", "pydantic")),
    Program("pydantic_agents", "failing_tool", ("pydantic-ai-slim", "pydantic")),
    Program("models", "model_per_call", ("pydantic",)),
    Program("models", "generic_models", ("pydantic",)),
    Program("models", "slotted_classes", ("attrs",)),
    Program("tables", "back_references", ("sqlalchemy",)),
    Program("tables", "tables_per_call", ("sqlalchemy",)),
    Program("markup", "parse_tree", ("beautifulsoup4",)),
    Program("markup", "parse_tree_with_lxml", ("lxml", "beautifulsoup4")),
    Program("markup", "failing_template", ("jinja2",)),
    Program("web", "aiohttp_loopback", ("aiohttp",)),
    Program("web", "fastapi_client", ("fastapi", "starlette")),
    Program("web", "task_group_of_requests", ("httpx", "anyio")),
    Program("django_site", "failing_view", ("django",)),
    Program("everyday", "graph_views", ("networkx",)),
    Program("everyday", "retries", ("tenacity",)),
    Program("everyday", "command_line", ("click",)),
    Program("everyday", "pytest_run", ("pytest",)),
)
"""Of the extra ``real``."""
