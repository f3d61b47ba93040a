"""How much tests try: all, or a part of it where all was tried elsewhere."""

import os

IS_BRIEF = os.environ.get("HYPOTHESIS_PROFILE") == "brief"


def part(things, step):
    """Give all of a sequence, or every so manyth of it."""
    return things[::step] if IS_BRIEF else things


def effort(count, brief):
    """Give how often to do something."""
    return brief if IS_BRIEF else count
