"""Errors that memguard raises.

Covers: what was given or measured, the limit, and what to do, as fields and
as one sentence.
Does not cover: errors of the program that memguard looks at; they pass
unchanged.
"""

from collections.abc import Iterable


class MemguardError(Exception):
    """Base of every error of memguard."""


class UnknownOptionError(MemguardError, ValueError):
    """An argument has a value that does not exist.

    Attributes:
        option: Name of the argument.
        value: What was given.
        choices: What may be given.
    """

    def __init__(self, option: str, value: object, choices: Iterable[str]) -> None:
        self.option = option
        self.value = value
        self.choices = tuple(choices)
        super().__init__(option, value, self.choices)

    def __str__(self) -> str:
        known = ", ".join(repr(choice) for choice in self.choices)
        return f"{self.option} is {self.value!r}; use one of {known}"


class WrongTypeError(MemguardError, TypeError):
    """An argument is of a type that says nothing here.

    Attributes:
        option: Name of the argument.
        given: Name of the type of what was given.
        remedy: What to give instead.
    """

    def __init__(self, option: str, given: str, remedy: str) -> None:
        self.option = option
        self.given = given
        self.remedy = remedy
        super().__init__(option, given, remedy)

    def __str__(self) -> str:
        return f"{self.option} is of type {self.given}; give {self.remedy}"


class LimitOutOfRangeError(MemguardError, ValueError):
    """A limit is outside the range in which it means something.

    Attributes:
        option: Name of the argument.
        value: What was given.
        allowed: The range, and what to give for no limit.
    """

    def __init__(self, option: str, value: object, allowed: str) -> None:
        self.option = option
        self.value = value
        self.allowed = allowed
        super().__init__(option, value, allowed)

    def __str__(self) -> str:
        return f"{self.option} is {self.value!r}; it must be {self.allowed}"


class ReportReleasedError(MemguardError, RuntimeError):
    """The objects of a released report were asked for."""

    def __str__(self) -> str:
        return (
            "the report was released and no longer holds its objects;"
            " read report.objects(cycle), and report.shapes of a scan with explain=False,"
            " before release() or the end of the with block"
        )


class CycleGoneError(MemguardError, RuntimeError):
    """The objects of a cycle were asked for that is no longer as a snapshot saw it."""

    def __str__(self) -> str:
        return (
            "the program has changed or freed this cycle since the snapshot was taken;"
            " its counts, sizes and types are all that is known."
            ' Use mode="inline" to hold what is found'
        )


class SnapshotFailedError(MemguardError, RuntimeError):
    """The child process that was to scan, or to look, did not answer.

    Attributes:
        reason: What became of it.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return (
            f"no snapshot: {self.reason}; the process itself is untouched."
            ' Bound a scan with max_objects or budget_seconds, or use mode="inline"'
        )


class HeadroomShortError(MemguardError, MemoryError):
    """Too little memory is free to scan in a child process.

    Attributes:
        free_bytes: What is left [bytes].
        needed_bytes: What must be [bytes].
        limit: The name of the limit.
    """

    def __init__(self, free_bytes: int, needed_bytes: int, limit: str) -> None:
        self.free_bytes = free_bytes
        self.needed_bytes = needed_bytes
        self.limit = limit
        super().__init__(free_bytes, needed_bytes, limit)

    def __str__(self) -> str:
        return (
            f"a snapshot was not started: {self.free_bytes:,} bytes are free before"
            f" {self.limit}, and it wants {self.needed_bytes:,}. Raise the limit, or use"
            ' mode="inline", which stops the process and needs its own tables only'
        )


class UnsupportedPythonError(MemguardError, RuntimeError):
    """This build of Python cannot be scanned.

    Attributes:
        python: Version and build.
        remedy: What to use instead.
    """

    def __init__(self, python: str, remedy: str) -> None:
        self.python = python
        self.remedy = remedy
        super().__init__(python, remedy)

    def __str__(self) -> str:
        return f"{self.python} cannot be scanned: {self.remedy}"


class UnreadableReportError(MemguardError, ValueError):
    """A document is not a report that this version can read.

    Attributes:
        reason: What is wrong with it.
        source: Where it came from; "" when it was not a file.
    """

    def __init__(self, reason: str, source: str = "") -> None:
        self.reason = reason
        self.source = source
        super().__init__(reason, source)

    def __str__(self) -> str:
        return (
            f"{self.source or 'this'} is not a report to be read: {self.reason};"
            " give a file from memguard run --format json --output FILE, or from report.to_json()"
        )


class MismatchedReportsError(MemguardError, ValueError):
    """Two reports of different kinds were to be compared.

    Attributes:
        earlier_kind: Kind of the one.
        later_kind: Kind of the other.
    """

    def __init__(self, earlier_kind: str, later_kind: str) -> None:
        self.earlier_kind = earlier_kind
        self.later_kind = later_kind
        super().__init__(earlier_kind, later_kind)

    def __str__(self) -> str:
        return (
            f"a report of {self.earlier_kind} cycles cannot be compared with one of"
            f" {self.later_kind} cycles; take two scans of the same kind"
        )


class UnreadableBaselineError(MemguardError, ValueError):
    """A file of known shapes cannot be used.

    Attributes:
        path: The file.
        reason: What is wrong with it.
    """

    def __init__(self, path: object, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return (
            f"{str(self.path)!r} cannot be used as a baseline: {self.reason};"
            " make one with memguard run --write-baseline FILE"
            " or pytest --memguard-write-baseline FILE"
        )


class ContextClosed(MemguardError, RuntimeError):  # noqa: N818 (it reads as what happened)
    """A context was used that is closed, or back in its pool.

    Attributes:
        task_id: What it was for; None if it is back in its pool.
        is_returned: Whether it is back in its pool.
    """

    def __init__(self, task_id: object, is_returned: bool) -> None:
        self.task_id = task_id
        self.is_returned = is_returned
        super().__init__(task_id, is_returned)

    def __str__(self) -> str:
        if self.is_returned:
            return (
                "the context is back in its pool, where another task may get it;"
                " get one with get_context(), and return it after its last use"
            )
        return (
            f"the context of task {self.task_id!r} is closed;"
            " make a new one, or open it again with reset()"
        )


class CannotCopyError(MemguardError, TypeError):
    """Something was to be copied or pickled that belongs to this process.

    Attributes:
        kind: Name of its type.
        remedy: What to do instead.
    """

    def __init__(self, kind: str, remedy: str) -> None:
        self.kind = kind
        self.remedy = remedy
        super().__init__(kind, remedy)

    def __str__(self) -> str:
        return f"{self.kind} cannot be copied or pickled; {self.remedy}"


class PoolError(MemguardError, ValueError):
    """Something was done to a pool that would mix up whose an object is.

    Attributes:
        kind: Name of the type of the object.
    """

    def __init__(self, kind: str, *more: object) -> None:
        self.kind = kind
        super().__init__(kind, *more)


class ReturnedTwiceError(PoolError):
    """An object was returned that is back already."""

    def __str__(self) -> str:
        return f"this {self.kind} was returned before; return each once, after its last use"


class StrangerError(PoolError):
    """An object was returned that is not on loan from here.

    Attributes:
        origin: Where it is from, as far as that is known.
    """

    def __init__(self, kind: str, origin: str) -> None:
        self.origin = origin
        super().__init__(kind, origin)

    def __str__(self) -> str:
        return (
            f"this {self.kind} is not on loan from here: {self.origin};"
            " return only what this pool handed out, to the pool that did"
        )


class StillHeldError(PoolError):
    """An object was returned to a strict pool while somebody else refers to it.

    Attributes:
        holder_count: References besides the caller's own [count].
    """

    def __init__(self, kind: str, holder_count: int) -> None:
        self.holder_count = holder_count
        super().__init__(kind, holder_count)

    def __str__(self) -> str:
        return (
            f"this {self.kind} has {self.holder_count} reference(s) besides the caller's;"
            " gc.get_referrers() tells whose, drop them before it is returned"
        )


class NotNewError(PoolError):
    """A factory gave an object that lies in the free list."""

    def __str__(self) -> str:
        return (
            f"the factory gave a {self.kind} that lies in the free list;"
            " let it make a new object each time"
        )


class EnteredTwiceError(PoolError):
    """A loan was entered that is in use."""

    def __str__(self) -> str:
        return f"this loan of a {self.kind} is in use; ask pool.context() for another"


class AgentIdTakenError(MemguardError, ValueError):
    """An agent was to be registered by an id that a living one has.

    Attributes:
        agent_id: The id.
    """

    def __init__(self, agent_id: object) -> None:
        self.agent_id = agent_id
        super().__init__(agent_id)

    def __str__(self) -> str:
        return (
            f"the id {self.agent_id!r} belongs to an agent that is alive; finish or unregister"
            " that one first, or choose another id (a registry also takes replace=True)"
        )


class UnknownAgentError(MemguardError, LookupError):
    """No active agent has an id that was given.

    Attributes:
        agent_id: The id.
    """

    def __init__(self, agent_id: object) -> None:
        self.agent_id = agent_id
        super().__init__(agent_id)

    def __str__(self) -> str:
        return (
            f"no active agent of this manager has the id {self.agent_id!r};"
            " begin it first, or leave parent out"
        )


class LifecycleClosedError(MemguardError, RuntimeError):
    """An agent was to begin under a manager that is closed."""

    def __str__(self) -> str:
        return "the manager is closed and begins no more agents; make a new one"


class AsyncHooksPendingError(MemguardError, RuntimeError):
    """A manager was closed where its async hooks cannot be awaited.

    Attributes:
        pending_count: How many calls are still to be made.
    """

    def __init__(self, pending_count: int) -> None:
        self.pending_count = pending_count
        super().__init__(pending_count)

    def __str__(self) -> str:
        return (
            f"{self.pending_count} calls of async hooks wait to be made; use await manager.aclose()"
        )


class SettingError(MemguardError, ValueError):
    """Base of what can be wrong with a setting.

    Attributes:
        key: The setting, as room.name.
        origin: Where it came from; "" where a class was called.
    """

    key: str
    origin: str

    def coming_from(self, origin: str) -> "SettingError":
        """Give the same error with another origin."""
        raise NotImplementedError


class UnknownSettingError(SettingError):
    """There is no setting of that name.

    Attributes:
        key: What was given.
        origin: Where it came from.
        closest: The setting that is most like it.
    """

    def __init__(self, key: str, origin: str, closest: str) -> None:
        self.key = key
        self.origin = origin
        self.closest = closest
        super().__init__(key, origin, closest)

    def coming_from(self, origin: str) -> "UnknownSettingError":
        """Give the same error with another origin."""
        return UnknownSettingError(self.key, origin, self.closest)

    def __str__(self) -> str:
        return f"{self.key} (from {self.origin}) is no setting; did you mean {self.closest}?"


class WrongSettingError(SettingError):
    """A setting has a value that it cannot have.

    Attributes:
        key: The setting, as room.name.
        value: What was given.
        allowed: What may be given.
        origin: Where it came from; "" where a class was called.
    """

    def __init__(self, key: str, value: object, allowed: str, origin: str = "") -> None:
        self.key = key
        self.value = value
        self.allowed = allowed
        self.origin = origin
        super().__init__(key, value, allowed, origin)

    def coming_from(self, origin: str) -> "WrongSettingError":
        """Give the same error with another origin."""
        return WrongSettingError(self.key, self.value, self.allowed, origin)

    def __str__(self) -> str:
        origin = f" (from {self.origin})" if self.origin else ""
        return f"{self.key} is {self.value!r}{origin}; it must be {self.allowed}"


class UnreadableSettingsError(MemguardError, ValueError):
    """A file of settings cannot be read.

    Attributes:
        path: The file.
        reason: What is wrong with it.
    """

    def __init__(self, path: object, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return f"{str(self.path)!r} has no settings to be read: {self.reason}; give a TOML file"


class GuardClosedError(MemguardError, RuntimeError):
    """A guard was used after it was closed."""

    def __str__(self) -> str:
        return "the guard is closed; make another one"


class AlreadyInstalledError(MemguardError, RuntimeError):
    """A guard was to be installed while another one is."""

    def __str__(self) -> str:
        return "another guard is installed; close it first: memguard.installed().close()"


class MissingExtraError(MemguardError, ImportError):
    """Something was asked for that needs a package which is not installed.

    Attributes:
        option: What was asked for.
        package: What it needs.
        extra: The extra of memguard that brings it.
    """

    def __init__(self, option: str, package: str, extra: str) -> None:
        self.option = option
        self.package = package
        self.extra = extra
        super().__init__(option, package, extra)

    def __str__(self) -> str:
        return (
            f"{self.option} needs {self.package}, which is not installed;"
            f' pip install "pymemguard[{self.extra}]"'
        )


class FrontierFullError(MemguardError, RuntimeError):
    """One more URL does not fit among those that wait; nothing changed.

    Attributes:
        option: The limit that it would exceed.
        measured: What there would be, URLs or bytes.
        limit: How much is allowed.
    """

    def __init__(self, option: str, measured: int, limit: int) -> None:
        self.option = option
        self.measured = measured
        self.limit = limit
        super().__init__(option, measured, limit)

    def __str__(self) -> str:
        return (
            f"{self.measured:,} would wait, and {self.option} is {self.limit:,}; take some"
            " before you add more, follow fewer links, or raise the limit"
        )


class CrawlClosedError(MemguardError, RuntimeError):
    """A crawl was used after it was closed."""

    def __str__(self) -> str:
        return "the crawl is closed; make another one"


class MissingMeasureError(MemguardError, KeyError):
    """An operation is judged by something that was not measured.

    Attributes:
        operation: The operation.
        key: What its context lacks.
    """

    def __init__(self, operation: str, key: str) -> None:
        self.operation = operation
        self.key = key
        super().__init__(operation, key)

    def __str__(self) -> str:
        return (
            f"whether {self.operation} is critical depends on {self.key!r};"
            f" give context[{self.key!r}]"
        )


class WouldBlockLoopError(MemguardError, RuntimeError):
    """Something would be waited for on the thread of an event loop, which would stop.

    Attributes:
        call: What was called.
        remedy: What to call instead.
    """

    def __init__(self, call: str, remedy: str) -> None:
        self.call = call
        self.remedy = remedy
        super().__init__(call, remedy)

    def __str__(self) -> str:
        return f"{self.call} would stop the event loop of this thread; use {self.remedy}"


class UnreadableAuditError(MemguardError, RuntimeError):
    """An audit cannot be read, or written.

    Attributes:
        path: The file.
        reason: What is wrong with it.
    """

    def __init__(self, path: object, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return (
            f"the audit in {str(self.path)!r} cannot be used: {self.reason};"
            " give a file that memguard wrote, or the name of a new one in a folder of yours"
        )


class UnknownRequestError(MemguardError, LookupError):
    """No request of that name waits for an answer.

    Attributes:
        request_id: The name.
        decided: How it was decided before; "" where nothing is known of it.
    """

    def __init__(self, request_id: str, decided: str = "") -> None:
        self.request_id = request_id
        self.decided = decided
        super().__init__(request_id, decided)

    def __str__(self) -> str:
        if self.decided:
            return f"request {self.request_id} is decided already: {self.decided}"
        return (
            f"no request {self.request_id!r} waits for an answer;"
            " memguard approvals list shows those that do"
        )


class UnsafeFolderError(MemguardError, RuntimeError):
    """The folder in which sockets lie is not this user's alone.

    Attributes:
        path: The folder.
        reason: What is wrong with it.
        variable: Names another one.
    """

    def __init__(self, path: object, reason: str, variable: str) -> None:
        self.path = path
        self.reason = reason
        self.variable = variable
        super().__init__(path, reason, variable)

    def __str__(self) -> str:
        return (
            f"{str(self.path)!r} is no place for private sockets: {self.reason};"
            f" remove it, or set {self.variable} to a folder of yours with mode 700"
        )


class EndpointError(MemguardError, RuntimeError):
    """A process cannot listen, or cannot be asked.

    Attributes:
        reason: Why.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return self.reason


class UnreachableProcessError(EndpointError):
    """A process cannot be asked from outside.

    Attributes:
        pid: Its id.
        reason: Why not.
        remedy: What to do.
    """

    def __init__(self, pid: int, reason: str, remedy: str) -> None:
        self.pid = pid
        self.remedy = remedy
        super().__init__(reason)

    def __str__(self) -> str:
        return f"process {self.pid} cannot be asked: {self.reason}; {self.remedy}"


class ScanUnderWayError(MemguardError, RuntimeError):
    """A process was asked from outside for a scan while it scans.

    Attributes:
        pid: Its id.
        running_seconds: How long the other scan has run [s].
    """

    def __init__(self, pid: int, running_seconds: float) -> None:
        self.pid = pid
        self.running_seconds = running_seconds
        super().__init__(pid, running_seconds)

    def __str__(self) -> str:
        return (
            f"process {self.pid} scans already, for {self.running_seconds:.1f} s; one scan at a"
            " time: try again when it is done"
        )


class ValidationFailedError(MemguardError, RuntimeError):
    """A success metric could not be measured.

    Attributes:
        check: Which.
        side: "before" or "after".
        reason: What went wrong.
    """

    def __init__(self, check: str, side: str, reason: str) -> None:
        self.check = check
        self.side = side
        self.reason = reason
        super().__init__(check, side, reason)

    def __str__(self) -> str:
        return (
            f"{self.check}, {self.side}, could not be measured: {self.reason};"
            f" run it alone: python -m memguard.validation {self.check} {self.side}"
        )
