"""The screen of ``memguard top``: the only file that knows textual.

Covers: panels, keys, asking in the background, what is shown when the process ends.
Does not cover: words (``figures``), asking (``asked``).
"""

import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Sparkline, Static

from memguard.cli.asked import AskedProcess, ProcessEndedError
from memguard.cli.figures import (
    SORTS,
    TimedScan,
    agent_lines,
    collector_lines,
    duration,
    growth_rows,
    memory_lines,
    milliseconds,
    pause_lines,
)
from memguard.errors import EndpointError
from memguard.heap.render.text import size
from memguard.heap.saved import SavedReport

KINDS = ("garbage", "live")
_HISTORY_COUNT = 120
_TWICE_SECONDS = 5.0
_BAR_WIDTH = 20

_HELP = """\
Memory    what the process holds, and the share of the limit that is closest
Pauses    how long the collector stopped it, counted while this screen runs
Objects   made since each generation was collected last, and when it is again
Agents    of a memguard.Guard in the process
Shapes    kinds of reference cycles, as scans found them; growth since the first

s    scan, in a child of the process where that is possible: it goes on meanwhile
w    save the last scan; "memguard report FILE" shows it with advice
o    sort by growth, by cycles, by what they hold
g g  let the process collect: it stands still for that long
q    quit; the process goes on

any key closes this
"""


class _Help(ModalScreen[None]):
    CSS = """
    _Help { align: center middle; }
    _Help > Static { width: auto; height: auto; padding: 1 3; border: round $primary;
                     background: $surface; }
    """

    def compose(self) -> ComposeResult:
        yield Static(Text(_HELP.rstrip()), id="help")

    def on_key(self) -> None:
        self.dismiss(None)


class TopApp(App[None]):
    """Show one process until the user leaves.

    Args:
        process: Whom to ask.
        every_seconds: How often to ask for numbers [s].
        scan_every_seconds: How often to let it scan [s]; None for only on demand.
        folder: Where scans are saved; the current one by default.

    Attributes:
        ended: Why nothing new is shown; "" while it is.
        scans: The first scan and the last one.
    """

    ENABLE_COMMAND_PALETTE = False
    TITLE = "memguard top"
    CSS = """
    #head { height: 1; padding: 0 1; background: $primary-background; }
    #panels { height: 10; }
    .panel { width: 1fr; height: 100%; border: round $primary; padding: 0 1; }
    #memory, #pauses { width: 10fr; }
    #objects { width: 9fr; }
    #agents { width: 6fr; }
    Sparkline { height: 2; margin: 1 0 0 0; }
    #shapes { height: 1fr; border: round $primary; padding: 0 1; }
    #status { height: 1; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "scan", "scan"),
        Binding("w", "save", "save"),
        Binding("o", "sort", "sort"),
        Binding("g", "collect", "collect"),
        Binding("h,question_mark", "help", "help"),
        Binding("q,escape", "quit", "quit"),
    ]

    def __init__(
        self,
        process: AskedProcess,
        *,
        every_seconds: float = 1.0,
        scan_every_seconds: float | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__()
        self.ended = ""
        self._is_leaving = False
        self.scans: list[TimedScan] = []
        self._asked = process
        self._every_seconds = every_seconds
        self._scan_every_seconds = scan_every_seconds
        self._folder = folder
        self._sort_by = SORTS[0]
        self._is_asking = False
        self._scan_begun_seconds: float | None = None
        self._collect_until_seconds = 0.0
        self._used: deque[float] = deque(maxlen=_HISTORY_COUNT)
        self._paused: deque[float] = deque(maxlen=_HISTORY_COUNT)
        self._paused_total_seconds: float | None = None
        self._program = ""
        self._born_seconds = 0.0
        # Held and not looked up: a query sees only the screen on top, which may be the help.
        names = ("head", "memory_values", "pauses_values", "objects", "agents", "status")
        self._boxes = {
            name: Static(id=name, classes="panel" if name in ("objects", "agents") else None)
            for name in names
        }
        self._memory_line = Sparkline([])
        self._pauses_line = Sparkline([])
        self._table: DataTable[Text] = DataTable(
            id="shapes", cursor_type="none", zebra_stripes=True
        )

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        boxes = self._boxes
        yield boxes["head"]
        with Horizontal(id="panels"):
            with Vertical(id="memory", classes="panel"):
                yield boxes["memory_values"]
                yield self._memory_line
            with Vertical(id="pauses", classes="panel"):
                yield boxes["pauses_values"]
                yield self._pauses_line
            yield boxes["objects"]
            yield boxes["agents"]
        yield self._table
        yield boxes["status"]
        yield Footer()

    def on_mount(self) -> None:
        """Name the panels, and begin to ask."""
        titles = {"memory": "Memory", "pauses": "Pauses", "objects": "Objects", "agents": "Agents"}
        for name, title in titles.items():
            self.query_one(f"#{name}").border_title = title
        self._program, age_seconds = self._asked.program()
        self._born_seconds = time.monotonic() - age_seconds
        self._show_shapes()
        self._tell("s scans; scans are compared, and show what grows")
        self.set_interval(self._every_seconds, self._ask)
        self._ask()
        if self._scan_every_seconds is not None:
            self.set_interval(self._scan_every_seconds, self.action_scan)
            self.action_scan()

    # Numbers.

    def _ask(self) -> None:
        # A process that is slow to answer is not asked again meanwhile.
        if not self._is_asking and not self.ended:
            self._is_asking = True
            self._ask_aside()

    @work(thread=True, group="numbers")
    def _ask_aside(self) -> None:
        try:
            stats = self._asked.stats()
        except ProcessEndedError as error:
            self._hand_over(self._end, str(error))
        except EndpointError as error:
            self._hand_over(self._tell, str(error), "yellow")
        else:
            self._hand_over(self._show, stats)
        finally:
            self._is_asking = False

    def _hand_over(self, show: Callable[..., None], *values: Any) -> None:
        # An answer that comes while the screen closes is for nobody.
        if self.is_running and not self._is_leaving:
            self.call_from_thread(show, *values)

    async def action_quit(self) -> None:
        """Leave; the process goes on."""
        self._is_leaving = True
        self.exit()

    def _end(self, why: str) -> None:
        self.ended = why
        self._tell(f"{why}; this is what it said last; q quits", "bold red")

    def _show(self, stats: dict[str, Any]) -> None:
        memory, pauses = stats["memory"], stats["pauses"]
        self._used.append(memory["rss_bytes"])
        total_seconds = pauses["total_seconds"]
        if self._paused_total_seconds is not None:
            self._paused.append(max(0.0, total_seconds - self._paused_total_seconds))
        self._paused_total_seconds = total_seconds
        self._show_head(stats)
        self._boxes["memory_values"].update(_lines([*memory_lines(memory)]) + _bar(memory["limit"]))
        self._memory_line.data = list(self._used)
        self._boxes["pauses_values"].update(_lines(pause_lines(pauses)))
        self._pauses_line.data = list(self._paused)
        objects = collector_lines(stats["collector"])
        if self.scans:
            objects.insert(0, ("when scanned", f"{self.scans[-1].object_count:,}"))
        self._boxes["objects"].update(_lines(objects))
        self._boxes["agents"].update(_lines(agent_lines(stats["agents"])))

    def _show_head(self, stats: dict[str, Any]) -> None:
        parts = [
            f"process {stats['pid']}",
            self._program,
            f"Python {stats['python']}",
            f"{stats['threads_count']} threads",
        ]
        if self._program:
            parts.append(f"up {duration(time.monotonic() - self._born_seconds)}")
        if stats["scanning_seconds"] is not None:
            parts.append(f"scans for {stats['scanning_seconds']:.0f} s")
        head = Text("memguard top   ", style="bold")
        head.append("   ".join(filter(None, parts)), style="not bold")
        self._boxes["head"].update(head)

    # Scans.

    def action_scan(self) -> None:
        """Let the process scan, unless it does."""
        if self.ended:
            return
        if self._scan_begun_seconds is not None:
            self._tell("it scans already")
            return
        self._scan_begun_seconds = time.monotonic()
        self._tell("scanning ...")
        self._scan_aside()

    @work(thread=True, group="scans")
    def _scan_aside(self) -> None:
        try:
            documents = [self._asked.scan(kind, on_sign=self._on_sign) for kind in KINDS]
        except ProcessEndedError as error:
            self._hand_over(self._end, str(error))
        except EndpointError as error:
            self._hand_over(self._tell, f"no scan: {error}", "yellow")
        else:
            reports = {document["kind"]: SavedReport.from_dict(document) for document in documents}
            scan = TimedScan(time.monotonic(), reports, tuple(documents))
            self._hand_over(self._show_scan, scan)
        finally:
            self._scan_begun_seconds = None

    def _on_sign(self, seconds: float) -> None:
        self._hand_over(self._tell, f"scanning ... {seconds:.0f} s")

    def _show_scan(self, scan: TimedScan) -> None:
        self.scans = [*self.scans[:1], scan]
        self._show_shapes()
        modes = {report.mode for report in scan.reports.values()}
        how = "in a child" if modes == {"snapshot"} else "inline"
        self._tell(
            f"looked at {scan.object_count:,} objects {how}; the process stood still for"
            f" {milliseconds(scan.pause_seconds)}; w saves it"
        )

    def _show_shapes(self) -> None:
        table = self._table
        table.clear(columns=True)
        for name in ("growth", "per minute", "cycles", "holding", "kind", "loop"):
            mark = " ▼" if name == self._sort_by else ""
            table.add_column(name + mark)
        rows = growth_rows(self.scans[0], self.scans[-1], self._sort_by) if self.scans else []
        for row in rows:
            grown = row.grown_count or 0
            style = "bold red" if grown > 0 else "green" if grown < 0 else ""
            table.add_row(
                _right("" if row.grown_count is None else f"{grown:+,}", style),
                _right(
                    "" if row.per_minute_count is None else f"{row.per_minute_count:+,.1f}", style
                ),
                _right(f"{row.cycle_count:,}"),
                _right(size(row.retained_bytes)),
                Text(row.kind, style="dim"),
                Text(row.path, no_wrap=True, overflow="ellipsis"),
            )
        table.border_title = "Shapes of cycles" + (
            f", {duration(self.scans[-1].at_seconds - self.scans[0].at_seconds)} apart"
            if len(self.scans) > 1
            else ""
        )

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sort_by = SORTS[(SORTS.index(self._sort_by) + 1) % len(SORTS)]
        self._show_shapes()

    def action_save(self) -> None:
        """Write the last scan to a new file."""
        if not self.scans:
            self._tell("there is no scan yet; s makes one")
            return
        folder = Path.cwd() if self._folder is None else self._folder
        stem = f"memguard-{self._asked.pid}-{time.strftime('%Y%m%d-%H%M%S')}"
        path = _new_path(folder, stem)
        text = "".join(json.dumps(document) + "\n" for document in self.scans[-1].documents)
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            self._tell(f"{path} cannot be written: {error.strerror}", "bold red")
        else:
            self._tell(f"saved; memguard report {path.name} shows it")

    # The rest.

    def action_collect(self) -> None:
        """Let the process collect, when asked twice."""
        if self.ended:
            return
        now = time.monotonic()
        if now > self._collect_until_seconds:
            self._collect_until_seconds = now + _TWICE_SECONDS
            self._tell("g again lets it collect: it stands still, and finalizers run")
            return
        self._collect_until_seconds = 0.0
        self._collect_aside()

    @work(thread=True, group="scans")
    def _collect_aside(self) -> None:
        try:
            told = self._asked.collect()
        except ProcessEndedError as error:
            self._hand_over(self._end, str(error))
        except EndpointError as error:
            self._hand_over(self._tell, f"not collected: {error}", "yellow")
        else:
            given_bytes = max(0, told["rss_before_bytes"] - told["rss_bytes"])
            self._hand_over(
                self._tell,
                f"collected {told['collected_count']:,} objects in"
                f" {milliseconds(told['duration_seconds'])}; {size(given_bytes)} came back",
            )

    def action_help(self) -> None:
        """Say what is what."""
        self.push_screen(_Help())

    def _tell(self, text: str, style: str = "") -> None:
        # The last word is that it has ended.
        if not self.ended or text.startswith(self.ended):
            self._boxes["status"].update(Text(text, style=style))


def _lines(values: Sequence[tuple[str, str]]) -> Text:
    width = max((len(name) for name, _ in values), default=0)
    text = Text()
    for number, (name, value) in enumerate(values):
        text.append("\n" if number else "")
        text.append(f"{name:<{width}}  " if width else "", style="dim")
        text.append(value)
    return text


def _bar(limit: dict[str, Any] | None) -> Text:
    if limit is None:
        return Text()
    ratio = min(1.0, limit["used_ratio"])
    filled = round(ratio * _BAR_WIDTH)
    colour = "red" if ratio > 0.9 else "yellow" if ratio > 0.75 else "green"
    text = Text("\n")
    text.append("━" * filled, style=colour)
    text.append("━" * (_BAR_WIDTH - filled), style="grey37")
    text.append(f"  {limit['used_ratio']:.0%} used", style=colour)
    return text


def _right(text: str, style: str = "") -> Text:
    return Text(text, style=style, justify="right")


def _new_path(folder: Path, stem: str) -> Path:
    path, number = folder / f"{stem}.jsonl", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.jsonl"
    return path
