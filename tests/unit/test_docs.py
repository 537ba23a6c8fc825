"""What the pages say: links lead somewhere, every page is in the index, commands can be called as they are written."""

import re
import shlex
from pathlib import Path

import pytest

from mitra.cli import _parser, commands

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for folder in (".", "docs", "examples", "tests")
    for page in (ROOT / folder).glob("*.md" if folder in (".", "tests") else "**/*.md")
)
LINK = re.compile(r"\]\(([^)#\s]+)?(?:#([\w-]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings get."""
    headings = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        place = (page.parent / target) if target else page
        assert place.exists(), target
        if anchor:
            assert anchor in anchors(place), f"{target}#{anchor}"


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {
        (index.parent / target).resolve() for target, _ in LINK.findall(index.read_text(encoding="utf-8")) if target
    }
    pages = {page.resolve() for page in (ROOT / "docs").glob("**/*.md")} - {index.resolve()}
    assert sorted(map(name, pages - linked)) == []


def written() -> list[tuple[str, str]]:
    """Return the calls of mitra in the pages' listings, each with its page."""
    found = []
    for page in PAGES:
        for body in re.findall(r"^```(?:sh)?\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            lines = body.replace("\\\n", " ").splitlines()
            calls = (re.match(r"(?:\.venv/bin/)?mitra (.+)", line) for line in lines)
            found += [(name(page), call[1].partition("#")[0].strip()) for call in calls if call and "…" not in call[1]]
    return found


def test_there_are_calls_to_try() -> None:
    assert len(written()) > 5


@pytest.mark.parametrize(("page", "call"), written())
def test_calls_are_understood(page: str, call: str) -> None:
    words = shlex.split(call)
    assert _parser(commands(), words).parse_args(words).command == words[0], page


def test_the_readme_names_every_command() -> None:
    table = re.findall(r"^\| `mitra ([\w-]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(table) == sorted(commands())
