"""What the documents show is what happens."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from memguard.cli import parse

ROOT = Path(__file__).parent.parent
RUN_BLOCKS = Path(__file__).parent / "scripts" / "run_blocks.py"
DOCUMENTS = [
    *("README.md", "docs/quickstart.md", "docs/cookbook.md"),
    *("docs/reading-a-report.md", "docs/memory.md", "docs/agents.md"),
]
PROGRAMS = [
    *(*DOCUMENTS, "docs/collector.md", "docs/delegation.md"),
    *("docs/crawling.md", "docs/production.md", "docs/guard.md", "docs/memory-limits.md"),
    *("docs/oversight.md", "docs/rollback.md", "docs/running-process.md"),
    *("docs/growth.md", "docs/owners.md", "docs/retention.md"),
]

PYTHON = re.compile(
    r"^```python\n(?P<source>.*?)^```\n(\n```text\n(?P<output>.*?)^```$)?", re.MULTILINE | re.DOTALL
)
SHELL = re.compile(r"^```sh\n(?P<source>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?!\w+:)(?P<path>[^)#\s]*)(#(?P<heading>[^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
TEXT = re.compile(r"^```text\n(?P<source>.*?)^```$", re.MULTILINE | re.DOTALL)


def read(document):
    return (ROOT / document).read_text(encoding="utf-8")


def run(*command, **options):
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def without_what_varies(text):
    """Replace times, sizes, and numbers of objects that depend on the Python that runs."""
    text = re.sub(r"(looked at|among) [\d,]+ objects in [\d,.]+ ms", r"\1 N objects in N ms", text)
    return re.sub(r"[\d,.]+ (B|KiB|MiB)\b", "N bytes", text)


@pytest.mark.parametrize("document", PROGRAMS)
def test_the_python_of_a_document_prints_what_the_document_shows(document):
    """The blocks run as one program; a text right after a block is its output."""
    text = read(document)
    programs = list(PYTHON.finditer(text))
    lines = [text.count("\n", 0, program.start("source")) for program in programs]
    sources = [program["source"] for program in programs]
    blocks = [(document, line, source) for line, source in zip(lines, sources, strict=True)]
    outputs = json.loads(run(RUN_BLOCKS, input=json.dumps(blocks)))
    assert programs
    for program, output in zip(programs, outputs, strict=True):
        if program["output"] is not None:
            assert without_what_varies(output) == without_what_varies(program["output"])


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_commands_of_a_document_exist(document):
    """Each command line of memguard is one that its parser takes."""
    parts = [
        part
        for block in SHELL.finditer(read(document))
        for line in block["source"].splitlines()
        for part in line.split("&&")
    ]
    commands = [shlex.split(part, comments=True) for part in parts if "memguard " in part]
    assert commands
    for program, *arguments in commands:
        assert Path(program).name == "memguard"
        assert parse(arguments).command


def test_the_report_in_the_readme_is_what_the_demo_prints():
    """The sample is the report of ``memguard demo``, as it is today."""
    (sample,) = TEXT.finditer(read("README.md"))
    printed = run("-m", "memguard", "demo")
    assert without_what_varies(sample["source"]) in without_what_varies(printed)


def headings(path):
    """Give the anchors that a page has for its headings."""
    titles = HEADING.findall(path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "document",
    sorted(
        path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    ),
)
def test_links_within_the_project_lead_somewhere(document):
    """Each page and each heading that a document links to exists."""
    broken = []
    for link in LINK.finditer(read(document)):
        page = (ROOT / document).parent / link["path"] if link["path"] else ROOT / document
        if not page.exists() or (link["heading"] and link["heading"] not in headings(page)):
            broken.append(link[0])
    assert broken == []
