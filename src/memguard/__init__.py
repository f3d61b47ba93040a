"""memguard finds every reference cycle of a live process, without collecting.

``scan()`` answers at about the price of one ``gc.collect()``: what the
collector would free now, or what will need it once dropped, grouped by shape.
"""

from memguard.errors import (
    LimitOutOfRangeError,
    MemguardError,
    MismatchedReportsError,
    ReportReleasedError,
    UnknownOptionError,
    UnreadableBaselineError,
    UnreadableReportError,
    UnsupportedPythonError,
    WrongTypeError,
)
from memguard.heap.advice import Advice
from memguard.heap.cuts import DEFAULT_CUTS, Cut
from memguard.heap.loops import Edge
from memguard.heap.report import ScanReport
from memguard.heap.scan import detect_circular_references, scan, scan_created
from memguard.heap.shapes import Cycle, Shape

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_CUTS",
    "Advice",
    "Cut",
    "Cycle",
    "Edge",
    "LimitOutOfRangeError",
    "MemguardError",
    "MismatchedReportsError",
    "ReportReleasedError",
    "ScanReport",
    "Shape",
    "UnknownOptionError",
    "UnreadableBaselineError",
    "UnreadableReportError",
    "UnsupportedPythonError",
    "WrongTypeError",
    "__version__",
    "detect_circular_references",
    "scan",
    "scan_created",
]
