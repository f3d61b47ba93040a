"""Which cycles are repaired, and how: the advice on each written out."""

from repairs.repair import Change, Repair

_CONCURRENCY = "real_programs.concurrency"
_TREES = "real_programs.trees"
_PROGRAMS = "repairs.programs"

REPAIRS = (
    Repair(
        _CONCURRENCY,
        "thread_pool",
        ("concurrent.futures",),
        "builtins.ValueError.__traceback__",
        (
            Change(
                _CONCURRENCY,
                """            with contextlib.suppress(ValueError):
                assert future.result() == b"http://ok"
""",
                """            try:
                assert future.result() == b"http://ok"
            except ValueError as error:
                error.__traceback__ = None
""",
            ),
        ),
    ),
    Repair(
        _CONCURRENCY,
        "failing_task_group",
        ("asyncio",),
        "builtins.ExceptionGroup.__traceback__",
        (
            Change(
                _CONCURRENCY,
                """        except* TerminateTaskGroup:
            pass
""",
                """        except ExceptionGroup as group:
            group.__traceback__ = None
""",
            ),
        ),
    ),
    Repair(
        _CONCURRENCY,
        "pending_task",
        ("asyncio",),
        f"{_CONCURRENCY}.pending_task.<locals>.Ticker.task",
        (
            Change(
                _CONCURRENCY,
                """            await asyncio.sleep(0)

    loop""",
                """            await asyncio.sleep(0)
        ticker.task.cancel()
        await asyncio.wait([ticker.task])
        ticker.task = None

    loop""",
            ),
        ),
        remedy="pending-task",
    ),
    Repair(
        _CONCURRENCY,
        "suspended_generators",
        ("contextlib",),
        f"{_CONCURRENCY}.suspended_generators.<locals>.Tree.position",
        (
            Change(
                _CONCURRENCY,
                """    for _ in range(3):
        next(tree.position)
""",
                """    for _ in range(3):
        next(tree.position)
    trees = [tree]
    for tree in trees:
        trees += tree.children
        tree.position.close()
        tree.position = None
""",
            ),
        ),
    ),
    Repair(
        _TREES,
        "minidom",
        ("xml.dom.minidom",),
        "xml.dom.minidom.Attr.ownerElement",
        (
            Change(
                _TREES, "    document.toxml()\n", "    document.toxml()\n    document.unlink()\n"
            ),
        ),
    ),
    Repair(
        _TREES,
        "page_and_message",
        ("html.parser",),
        "builtins.dict[str]",
        (
            Change(
                _TREES,
                """        self.tags.pop()
""",
                """        self.tags.pop().pop("parent")
""",
            ),
        ),
    ),
    Repair(
        _TREES,
        "database",
        ("sqlite3",),
        f"{_TREES}.database.<locals>.Store.connection",
        (
            Change(
                _TREES,
                """    store.connection.close()
""",
                """    store.connection.close()
    store.connection = store.cursor = store.row = None
""",
            ),
        ),
    ),
    Repair(
        "real_programs.classes",
        "mocks",
        ("unittest.mock",),
        "builtins.frame.<local failure>",
        (
            Change(
                "real_programs.classes",
                """    assert "something else" in str(failure)
""",
                """    try:
        assert "something else" in str(failure)
    finally:
        del failure
""",
            ),
        ),
    ),
    Repair(
        "real_programs.services",
        "failing_test",
        ("unittest",),
        "real_programs.services.failing_test.<locals>.Case.caught",
        (
            Change(
                "real_programs.services",
                """            self.caught = caught
            raise caught.exception
""",
                """            import weakref

            self.caught_ref = weakref.ref(caught)
            raise caught.exception
""",
            ),
        ),
        note="The frame of the test keeps the exception in its variable `caught`, too, and the"
        " advice to clear the traceback would have to be followed within unittest.",
    ),
    Repair(
        _PROGRAMS,
        "parser_of_options",
        ("argparse",),
        "argparse.HelpFormatter._Section.formatter",
        (
            Change(
                "argparse",
                """            self.formatter = formatter
            self.parent = parent
""",
                """            import weakref

            self._formatter = weakref.ref(formatter)
            self.parent = parent
""",
            ),
            Change(
                "argparse",
                """        def format_help(self):
            # format the indented section
""",
                """        formatter = property(lambda self: self._formatter())

        def format_help(self):
            # format the indented section
""",
            ),
            Change(
                "argparse",
                """            item_help = join([func(*args) for func, args in self.items])
""",
                """            item_help = join([func(*args) for func, args in self.items])
            self.items.clear()
""",
            ),
        ),
    ),
    Repair(
        _PROGRAMS,
        "request_opener",
        ("urllib.request",),
        "urllib.request.DataHandler.parent",
        (
            Change(
                "urllib.request",
                """    def add_parent(self, parent):
        self.parent = parent
""",
                """    parent = property(lambda self: self._parent())

    def add_parent(self, parent):
        import weakref

        self._parent = weakref.ref(parent)
""",
            ),
        ),
    ),
    Repair(
        _PROGRAMS,
        "options_file",
        ("configparser",),
        "configparser.ConverterMapping._parser",
        (
            Change(
                "configparser",
                """        self._parser = parser
        self._name = name
""",
                """        import weakref

        self._parser_ref = weakref.ref(parser)
        self._name = name
""",
            ),
            Change(
                "configparser",
                """    def __repr__(self):
        return '<Section: {}>'.format(self._name)
""",
                """    _parser = property(lambda self: self._parser_ref())

    def __repr__(self):
        return '<Section: {}>'.format(self._name)
""",
            ),
            Change(
                "configparser",
                """    def __init__(self, parser):
        self._parser = parser
        self._data = {}
""",
                """    _parser = property(lambda self: self._parser_ref())

    def __init__(self, parser):
        import weakref

        self._parser_ref = weakref.ref(parser)
        self._data = {}
""",
            ),
            Change(
                "configparser",
                """            getter = functools.partial(self.get, _impl=getattr(parser, key))
            setattr(self, key, getter)
""",
                """            weak = weakref.ref(self)
            kept = weakref.WeakMethod(getattr(parser, key))
            getter = lambda *a, weak=weak, kept=kept, **k: weak().get(*a, _impl=kept(), **k)
            setattr(self, key, getter)
""",
            ),
        ),
    ),
    Repair(
        _PROGRAMS,
        "property_list",
        ("plistlib",),
        "plistlib._PlistParser.parser",
        (
            Change(
                "plistlib",
                """        self.parser.ParseFile(fileobj)
        return self.root
""",
                """        self.parser.ParseFile(fileobj)
        self.parser = None
        return self.root
""",
            ),
        ),
    ),
    Repair(
        "real_programs.langgraph_agents",
        "chat_per_request",
        ("langgraph",),
        "langgraph.pregel._write.ChannelWrite.func",
        (
            Change(
                "langgraph.pregel._write",
                """            func=self._write,
            afunc=self._awrite,
""",
                """            func=_weak(self._write),
            afunc=_weak(self._awrite),
""",
            ),
            Change(
                "langgraph.pregel._write",
                """class ChannelWrite(RunnableCallable):
""",
                """def _weak(method):
    import functools
    import weakref

    kept = weakref.WeakMethod(method)

    @functools.wraps(method.__func__)
    def call(*args, **options):
        return kept()(*args, **options)

    return call


class ChannelWrite(RunnableCallable):
""",
            ),
        ),
    ),
    Repair(
        "real_programs.pydantic_agents",
        "typed_answer",
        ("pydantic-ai-slim", "pydantic"),
        "builtins.function.<closure _add_json_refs>",
        (
            Change(
                "pydantic.json_schema",
                """        _add_json_refs(json_schema)
        return json_refs
""",
                """        try:
            _add_json_refs(json_schema)
        finally:
            _add_json_refs = None
        return json_refs
""",
            ),
        ),
    ),
    Repair(
        "real_programs.pydantic_agents",
        "failing_tool",
        ("pydantic-ai-slim", "pydantic"),
        "pydantic_graph.step.NodeStep._call",
        (
            Change(
                "pydantic_graph.step",
                """from typing_extensions import TypeVar
""",
                """from weakref import WeakMethod as _kept

from typing_extensions import TypeVar
""",
            ),
            Change(
                "pydantic_graph.step",
                """            call=self._call_node,
""",
                """            call=lambda *a, kept=_kept(self._call_node): kept()(*a),
""",
            ),
        ),
    ),
    Repair(
        "real_programs.openai_agents",
        "failing_model",
        ("openai-agents",),
        "agents.tool._FailureHandlingFunctionToolInvoker._function_tool",
        (
            Change(
                "agents.tool",
                """        self._on_handled_error = on_handled_error
        self._function_tool = function_tool

    def _get_wrapped_callable""",
                """        self._on_handled_error = on_handled_error
        self._function_tool_ref = None
        if function_tool is not None:
            import weakref

            self._function_tool_ref = weakref.ref(function_tool)

    @property
    def _function_tool(self):
        return self._function_tool_ref and self._function_tool_ref()

    def _get_wrapped_callable""",
            ),
        ),
    ),
    Repair(
        "real_programs.models",
        "slotted_classes",
        ("attrs",),
        "real_programs.models.slotted_classes.<locals>.Child.parent",
        (
            Change(
                "real_programs.models",
                """        parent: Parent = attrs.field("""
                """validator=attrs.validators.instance_of(Parent))

        @parent.validator
        def _known(self, attribute, value):
            value.add(self)
""",
                """        parent_ref: object
        parent = property(lambda self: self.parent_ref())

        def __attrs_post_init__(self):
            self.parent.add(self)
""",
            ),
            Change(
                "real_programs.models",
                """    assert len(Child(Parent()).parent.children) == 1
""",
                """    import weakref

    parent = Parent()
    assert len(Child(weakref.ref(parent)).parent.children) == 1
""",
            ),
        ),
    ),
    Repair(
        "real_programs.tables",
        "back_references",
        ("sqlalchemy",),
        "real_programs.tables.Address.user",
        (
            Change(
                "real_programs.tables",
                """        assert user.addresses[0].user is user
""",
                """        assert user.addresses[0].user is user
        session.expire(user.addresses[0], ["user"])
""",
            ),
        ),
        remedy="orm-back-reference",
    ),
    Repair(
        "real_programs.markup",
        "parse_tree",
        ("beautifulsoup4",),
        "bs4.element.Tag.parent",
        (
            Change(
                "real_programs.markup",
                """    assert extracted.get_text(strip=True).startswith("Once upon")
""",
                """    assert extracted.get_text(strip=True).startswith("Once upon")
    for tree in soup, extracted:
        tree.clear(decompose=True)
        tree.decompose()
""",
            ),
        ),
        remedy="own-teardown",
    ),
    Repair(
        "real_programs.web",
        "aiohttp_loopback",
        ("aiohttp",),
        "aiohttp.web_urldispatcher.ResourceRoute._resource",
        (
            Change(
                "aiohttp.web_urldispatcher",
                """        self._resource = resource
""",
                """        import weakref

        self._resource_ref = None if resource is None else weakref.ref(resource)
""",
            ),
            Change(
                "aiohttp.web_urldispatcher",
                """    @property
    def method(self) -> str:
""",
                """    @property
    def _resource(self):
        return self._resource_ref and self._resource_ref()

    @property
    def method(self) -> str:
""",
            ),
        ),
    ),
    Repair(
        "real_programs.web",
        "task_group_of_requests",
        ("httpx",),
        "httpx._client.BoundAsyncStream._response",
        (
            Change(
                "httpx._client",
                """    def __init__(
        self, stream: AsyncByteStream, response: Response, start: float
    ) -> None:
        self._stream = stream
        self._response = response
""",
                """    _response = property(lambda self: self._response_ref())

    def __init__(
        self, stream: AsyncByteStream, response: Response, start: float
    ) -> None:
        import weakref

        self._stream = stream
        self._response_ref = weakref.ref(response)
""",
            ),
        ),
    ),
    Repair(
        "real_programs.web",
        "fastapi_client",
        ("starlette", "fastapi"),
        "starlette.testclient._TestClientTransport.portal_factory",
        (
            Change(
                "starlette.testclient",
                """            portal_factory=self._portal_factory,
""",
                """            portal_factory=lambda kept=__import__("weakref").WeakMethod(
                self._portal_factory
            ): kept()(),
""",
            ),
        ),
    ),
    Repair(
        "real_programs.django_site",
        "failing_view",
        ("django",),
        "builtins.dict[str]",
        (
            Change(
                "real_programs.django_site",
                """    return HttpResponse(template.render({"books": author.books.all(), """
                """"request": request}))
""",
                """    books = author.books.all()
    response = HttpResponse(template.render({"books": books, "request": request}))
    author._prefetched_objects_cache.clear()
    return response
""",
            ),
        ),
        remedy="orm-back-reference",
        note="One of the two cycles is gone; what makes the other was not found out.",
    ),
    Repair(
        "real_programs.everyday",
        "graph_views",
        ("networkx",),
        "builtins.frame.<local failure>",
        (
            Change(
                "real_programs.everyday",
                """    assert "nowhere" in str(failure)
""",
                """    try:
        assert "nowhere" in str(failure)
    finally:
        del failure
""",
            ),
        ),
    ),
    Repair(
        "real_programs.everyday",
        "retries",
        ("tenacity",),
        "builtins.function.<closure wrapped_f>",
        (
            Change(
                "tenacity",
                """            stats = wrapped_f.statistics  # type: ignore[attr-defined]
""",
                """            stats = kept().statistics
""",
            ),
            Change(
                "tenacity",
                """        # Preserve attributes
        wrapped_f.retry = self  # type: ignore[attr-defined]
""",
                """        import weakref

        kept = weakref.ref(wrapped_f)
        # Preserve attributes
        wrapped_f.retry = self  # type: ignore[attr-defined]
""",
            ),
        ),
    ),
    Repair(
        "real_programs.everyday",
        "command_line",
        ("click",),
        "builtins.dict[str]",
        (
            Change(
                "real_programs.everyday",
                """        context.obj = {"context": context}
""",
                """        import weakref

        context.obj = weakref.WeakValueDictionary({"context": context})
""",
            ),
        ),
    ),
    Repair(
        _PROGRAMS,
        "tree_of_nodes",
        ("anytree",),
        "anytree.node.node.Node._NodeMixin__parent",
        (
            Change(
                "anytree.node.nodemixin",
                """            return self.__parent
        return None
""",
                """            return self.__parent and self.__parent()
        return None
""",
            ),
            Change(
                "anytree.node.nodemixin",
                """            parent = self.__parent
        else:
""",
                """            parent = self.__parent and self.__parent()
        else:
""",
            ),
            Change(
                "anytree.node.nodemixin",
                """            self.__parent = parent
""",
                """            import weakref

            self.__parent = weakref.ref(parent)
""",
            ),
        ),
    ),
    Repair(
        _PROGRAMS,
        "syntax_tree",
        ("markdown-it-py",),
        "markdown_it.tree.SyntaxTreeNode._parent",
        (
            Change(
                "markdown_it.tree",
                """        return self._parent  # type: ignore
""",
                """        return self._parent and self._parent()
""",
            ),
            Change(
                "markdown_it.tree",
                """        self._parent = value
""",
                """        import weakref

        self._parent = value and weakref.ref(value)
""",
            ),
        ),
    ),
    Repair(
        _PROGRAMS,
        "page_as_document",
        ("html5lib",),
        "xml.dom.minidom.Element.parentNode",
        (
            Change(
                "repairs.programs",
                """    assert document.getElementsByTagName("b")
""",
                """    assert document.getElementsByTagName("b")
    document.unlink()
""",
            ),
        ),
    ),
    Repair(
        _PROGRAMS,
        "written_and_read",
        ("pypdf",),
        "builtins.function.<closure recursive_call>",
        (
            Change(
                "pypdf._doc_common",
                """        node, idx = recursive_call(top, 0)
""",
                """        try:
            node, idx = recursive_call(top, 0)
        finally:
            recursive_call = None
""",
            ),
        ),
    ),
    Repair(
        _PROGRAMS,
        "refused_connection",
        ("requests",),
        "builtins.frame.<local failure>",
        (
            Change(
                _PROGRAMS,
                """        assert "9" in str(failure)
""",
                """        try:
            assert "9" in str(failure)
        finally:
            failure.args[0].reason.__cause__.__traceback__ = None
            failure.args[0].reason.__traceback__ = None
            del failure
""",
            ),
        ),
    ),
    Repair(
        _PROGRAMS,
        "converted_page",
        ("markdown",),
        "builtins.function.<closure substitute_match>",
        (
            Change(
                "markdown.postprocessors",
                """            return pattern.sub(substitute_match, text)
        else:
""",
                """            try:
                return pattern.sub(substitute_match, text)
            finally:
                substitute_match = None
        else:
""",
            ),
        ),
    ),
)
