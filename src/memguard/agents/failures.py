"""What foreign code raised while contexts were cleaned up.

Covers: putting it into the log. The native floor loads this at the first
failure, so that a program without any does not load ``logging`` for it.
"""

import logging
from collections.abc import Sequence

_LOG = logging.getLogger("memguard.agents")


def log_failures(failures: Sequence[BaseException]) -> None:
    """Log each failure with its traceback."""
    for failure in failures:
        _LOG.error("a cleanup raised %s", type(failure).__qualname__, exc_info=failure)
