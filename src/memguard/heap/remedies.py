"""The catalogue itself: shapes of cycles that are well known, and what to do.

Covers: how each is recognised, and its sentence and two lines of Python. Every
spelling that is looked for stands here, in ``remedy`` and in ``case``. The
first entry that matches is taken, so the more special ones come first.
See also: ``docs/cookbook.md`` for the same in prose.
"""

from memguard.heap.remedy import (
    Remedy,
    all_of,
    has_future,
    has_type,
    is_attribute,
    is_in_frame,
    is_item,
    is_partial,
    is_traceback,
    is_unnamed,
    kind_is,
    leads_to,
    name_is,
    to_instance,
    touches,
)
from memguard.heap.ties import TargetKind, TieKind

REMEDIES: tuple[Remedy, ...] = (
    Remedy(
        "class-per-call",
        lambda case: not case.chosen and bool(case.classes),
        "Make {made} once and keep it: every class refers to itself, so each that is made per call"
        " waits for the collector.",
        "@functools.cache\ndef make(): ...  # what makes {made}",
        "reuse",
    ),
    Remedy(
        "module-per-call",
        lambda case: not case.chosen and bool(case.functions),
        "Load what defines {made} once and keep it: functions refer to the names of their module,"
        " and those to the functions.",
        "@functools.cache\ndef load(): ...  # what defines {made}",
        "reuse",
    ),
    Remedy(
        "",
        lambda case: not case.chosen,
        "Make {made} once and keep it: no reference of this cycle can be cut.",
        "@functools.cache\ndef make(): ...  # what makes {made}",
        "reuse",
    ),
    Remedy(
        "future-exception",
        all_of(is_in_frame, has_future, kind_is(TieKind.VARIABLE)),
        "Let {owner} drop its variable {name} at its end: the exception that the future keeps"
        " refers to the frame, and the frame to it.",
        "try: ...  # use {word}\nfinally: del {word}",
        "clear",
    ),
    Remedy(
        "future-exception",
        all_of(is_in_frame, has_future),
        "Clear {name} of the {owner} once it is handled: a future keeps the exception, and its"
        " traceback the frames that keep the future.",
        "error = future.exception()\nerror.{word} = None",
        "clear",
    ),
    Remedy(
        "exception-in-own-frame",
        all_of(is_in_frame, is_traceback),
        "Clear {name} of the {owner} once it is handled: it keeps every frame that it passed, and"
        " one of them keeps the exception.",
        "try: ...\nexcept {short_owner} as error: error.{word} = None",
        "clear",
    ),
    Remedy(
        "exception-in-own-frame",
        is_in_frame,
        "Let {owner} drop its variable {name} at its end: the traceback of an exception refers to"
        " the frame, and the frame to the exception.",
        "try: ...  # use {word}\nfinally: del {word}",
        "clear",
    ),
    Remedy(
        "pending-task",
        lambda case: case.is_any(TieKind.FIELD, "_asyncio.", "asyncio."),
        "Cancel the task, wait for its end before the loop is closed, and let go of {place}:"
        " a task that waits and what it waits for keep each other.",
        "task.cancel(); await asyncio.wait([task])  # in the loop\nself.{word} = None",
        "clear",
        is_door=True,
    ),
    Remedy(
        "contextvars-token",
        has_type("_contextvars.Token", "_contextvars.Context"),
        "Reset the variable and drop {place}: a token and a context keep every value that"
        " was set, so keep an id in the variable, not the object.",
        "variable.reset(self.{word})\nself.{word} = None",
        "clear",
    ),
    Remedy(
        "orm-back-reference",
        all_of(has_type("sqlalchemy.orm."), touches("sqlalchemy.orm."), is_item),
        "Expire the relationship when you are done: both sides keep each other, and the session"
        " loads them again if they are asked for.",
        "session.expire(item, ['{attribute}'])\nsession.close()",
        "clear",
        is_door=True,
    ),
    Remedy(
        "orm-back-reference",
        lambda case: (
            is_attribute(case)
            and to_instance(case)
            and case.has_type_of("sqlalchemy.orm.collections.")
        ),
        "Expire {place} when you are done: both sides of a relationship keep each other, and"
        " the session loads it again if it is asked for.",
        "session.expire(item, ['{word}'])\nsession.close()",
        "clear",
        is_door=True,
    ),
    Remedy(
        "orm-back-reference",
        lambda case: case.touches("django.db.models.") and case.first.kind is TieKind.ITEM,
        "Drop what was fetched ahead when you are done: {owner} keeps the other side of a relation,"
        " which keeps this one.",
        "for fetched in (item._prefetched_objects_cache, item._state.fields_cache):\n"
        "    fetched.clear()",
        "clear",
        is_door=True,
    ),
    Remedy(
        "logging-handler",
        has_type("logging.Logger", "logging.RootLogger"),
        "Take the handler off its logger and close it when its owner is done: {place} leads"
        " on from the handler, and back to its logger.",
        "logger.removeHandler(handler)\nhandler.close()",
        "clear",
        is_door=True,
    ),
    Remedy(
        "lru-cache-on-method",
        has_type("functools._lru_cache_wrapper"),
        "Cache by value, not by instance: the cache at {place} keeps self and self keeps"
        " the cache.",
        "@functools.cached_property  # or a cache that takes ids, not self\ndef {bare}(self): ...",
        "clear",
    ),
    Remedy(
        "own-teardown",
        lambda case: case.teardown is not None,
        "Take the tree apart when you are done with it: {place} leads back to what holds it.",
        "try: ...  # use the tree\nfinally: {teardown}",
        "clear",
        is_door=True,
    ),
    Remedy(
        "bound-method-on-self",
        all_of(is_attribute, leads_to(TargetKind.METHOD)),
        "Keep {place} as a weak method: a bound method keeps its object, which keeps the method.",
        "self.{word} = weakref.WeakMethod({bare})\nif (call := self.{word}()) is not None: call()",
        "weaken",
    ),
    Remedy(
        "bound-method-on-self",
        all_of(is_item, leads_to(TargetKind.METHOD)),
        "Keep weak methods in {owner}: a bound method keeps its object, which keeps the callback.",
        "{container} += [weakref.WeakMethod(method)]\n"
        "[call() for kept in {container} if (call := kept()) is not None]",
        "weaken",
    ),
    Remedy(
        "",
        is_unnamed,
        "Empty the {owner} when you are done with it: {place} leads back to it, and nothing on the"
        " way has a name for it.",
        "try: ...  # use it\nfinally: {container}.clear()",
        "clear",
    ),
    Remedy(
        "partial-on-self",
        all_of(is_item, is_partial),
        "Keep partials of weak references in {owner}: their arguments or their functions keep what"
        " keeps them.",
        "weak = weakref.ref(self)\n"
        "{container} += [functools.partial(call, weak)]  # where call() asks weak()",
        "weaken",
    ),
    Remedy(
        "partial-on-self",
        is_partial,
        "Let {place} be a partial of a weak reference: its arguments or its function keep"
        " the {short_owner}.",
        "weak = weakref.ref(self)\n"
        "self.{word} = functools.partial(call, weak)  # where call() asks weak()",
        "weaken",
    ),
    Remedy(
        "exception-in-own-frame",
        all_of(is_item, leads_to(TargetKind.CALL)),
        "Empty {owner} when it has been read: a traceback keeps its frames, frames keep their"
        " variables, and one of them leads back.",
        "try: ...  # read it\nfinally: {container}.clear()",
        "clear",
    ),
    Remedy(
        "exception-in-own-frame",
        leads_to(TargetKind.CALL),
        "Clear {place} when it has been read: a traceback keeps its frames, frames keep their"
        " variables, and one of them leads back.",
        "try: ...  # read it\nfinally: self.{word} = None",
        "clear",
    ),
    Remedy(
        "generator-on-self",
        all_of(is_item, leads_to(TargetKind.GENERATOR)),
        "Close what {owner} keeps and empty it when it is no longer needed: what is suspended keeps"
        " its variables, and one of them is its owner.",
        "for kept in {container}: kept.close()  # await aclose() if they are asynchronous\n"
        "{container}.clear()",
        "clear",
    ),
    Remedy(
        "generator-on-self",
        leads_to(TargetKind.GENERATOR),
        "Close {place} and clear it when it is no longer needed: what is suspended keeps"
        " its variables, and one of them is its owner.",
        "self.{word}.close()  # await aclose() if it is asynchronous\nself.{word} = None",
        "clear",
    ),
    Remedy(
        "generator-on-self",
        kind_is(TieKind.SUSPENDED),
        "Let {owner} not keep {name} while it is suspended: its owner keeps it, so pass what it"
        " needs, or a weak reference.",
        "weak_{word} = weakref.ref({word}); del {word}\n"
        "{word} = weak_{word}()  # when it is needed, and not across a yield",
        "weaken",
    ),
    Remedy(
        "recursive-closure",
        all_of(kind_is(TieKind.CLOSURE), leads_to(TargetKind.FUNCTION)),
        "Let {name} not find itself by its closure: clear the variable when done, or move the"
        " function to the module.",
        "try: ...  # call {word}\nfinally: {word} = None",
        "clear",
    ),
    Remedy(
        "captured-owner",
        all_of(kind_is(TieKind.CLOSURE), to_instance),
        "Let {owner} capture a weak reference to {name}: what it captures keeps the function.",
        "weak_{bare} = weakref.ref({word})\ndef function(): {word} = weak_{bare}()",
        "weaken",
    ),
    Remedy(
        "captured-owner",
        kind_is(TieKind.CLOSURE),
        "Clear the variable {name} that {owner} captures when it is done: what it captures keeps"
        " the function.",
        "try: ...  # use {word}\nfinally: {word} = None",
        "clear",
    ),
    Remedy(
        "parent-tree",
        all_of(is_attribute, to_instance),
        "Make {place} a weak reference: the {short_target} leads back to it, and one"
        " of the two must not keep the other.",
        "self.{bare}_ref = weakref.ref({bare})\n{word} = property(lambda self: self.{bare}_ref())",
        "weaken",
    ),
    Remedy(
        "",
        all_of(is_item, to_instance, name_is("{element}")),
        "Keep {target} in {owner} by weak reference.",
        "import weakref\n{container} = weakref.WeakSet()",
        "weaken",
    ),
    Remedy(
        "",
        all_of(is_item, to_instance, name_is("[]")),
        "Keep {target} in {owner} by weak reference.",
        "{container}.append(weakref.ref(item))\n"
        "alive = [item for kept in {container} if (item := kept()) is not None]",
        "weaken",
    ),
    Remedy(
        "",
        all_of(is_item, to_instance),
        "Keep {target} in {owner} by weak reference.",
        "import weakref\n{container} = weakref.WeakValueDictionary()",
        "weaken",
    ),
    Remedy(
        "",
        is_item,
        "Empty {owner} when its owner is done: its items lead back to it.",
        "try: ...  # use it\nfinally: {container}.clear()",
        "clear",
    ),
    Remedy(
        "",
        kind_is(TieKind.VARIABLE),
        "Let {owner} drop its variable {name} at its end.",
        "try: ...  # use {word}\nfinally: del {word}",
        "clear",
    ),
    Remedy(
        "",
        lambda _case: True,
        "Clear {place} when the {short_owner} is done: {target} leads back to it.",
        "def close(self):\n    self.{word} = None",
        "clear",
    ),
)
