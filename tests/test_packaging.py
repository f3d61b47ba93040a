"""What the project says of itself in several places is the same in all."""

import re
import tomllib
from pathlib import Path

import pytest

import memguard

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def in_checkout(path):
    """Give a file of the project, or skip where only the tests were taken along."""
    if not (ROOT / path).exists():
        pytest.skip(f"{path} is not here: tests of an installed wheel")
    return (ROOT / path).read_text(encoding="utf-8")


def minor_versions(pattern, text):
    return sorted({int(minor) for minor in re.findall(pattern, text)})


CLASSIFIED = minor_versions(r":: 3\.(\d+)", "\n".join(PROJECT["project"]["classifiers"]))


def test_wheels_are_built_for_the_versions_that_are_promised():
    """Classifiers, the oldest version, and the wheels name the same Pythons."""
    assert list(range(CLASSIFIED[0], CLASSIFIED[-1] + 1)) == CLASSIFIED
    assert PROJECT["project"]["requires-python"] == f">=3.{CLASSIFIED[0]}"
    assert minor_versions(r"cp3(\d+)-", PROJECT["tool"]["cibuildwheel"]["build"]) == CLASSIFIED


@pytest.mark.parametrize("workflow", ["ci.yml", "nightly.yml"])
def test_the_promised_versions_are_tested(workflow):
    """Each list of Pythons in the workflows has all of them."""
    lists = re.findall(r"python: \[(.*)\]", in_checkout(f".github/workflows/{workflow}"))
    assert lists
    for versions in lists:
        assert minor_versions(r'"3\.(\d+)"', versions) == CLASSIFIED


def test_actions_are_pinned_to_a_commit():
    """Nobody can move what runs with the right to publish."""
    in_checkout(".github/workflows/wheels.yml")
    uses = [
        line.split("uses:")[1].split()
        for path in sorted((ROOT / ".github/workflows").glob("*.yml"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if "uses:" in line
    ]
    assert uses
    for action, hash_sign, version in uses:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)
        assert hash_sign == "#"
        assert re.fullmatch(r"v\d+\.\d+\.\d+", version)


def test_the_changelog_begins_with_this_version():
    """A release is described before it is made."""
    newest = re.search(r"^## (\S+)", in_checkout("CHANGELOG.md"), re.MULTILINE)
    assert newest[1] == memguard.__version__
