"""The Python blocks of the README and of the pages run, each page's in order and with one namespace.

A comment on the line above a block changes that: ``<!-- not run: WHY -->``, or ``<!-- run with: OLD -> NEW; ... -->``,
which replaces texts, so that a page can show real numbers while the test takes small ones.
"""

import re
from pathlib import Path

import pytest

from jaxrl import algorithms
from jaxrl.envs import registry

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?:^<!-- (?P<comment>(?:not run|run with):[^\n]*) -->\n)?^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
INCLUDE = re.compile(r'^--8<-- "(?P<path>[^"]+)"$', re.MULTILINE)


def blocks(page):
    """``(line, code)`` of each block that is run, with the files that it includes."""
    text = page.read_text()
    for match in BLOCK.finditer(text):
        comment, code = match["comment"] or "", match["code"]
        if comment.startswith("not run:"):
            continue
        for change in comment.removeprefix("run with:").split(";") if comment else ():
            old, _, new = change.strip().partition(" -> ")
            assert old and new and old in code, f"{page.name}: the comment {comment!r} does not fit its block"
            code = code.replace(old, new)
        code = INCLUDE.sub(lambda include: (ROOT / include["path"]).read_text(), code)
        yield text[: match.start("code")].count("\n") + 1, code


@pytest.mark.parametrize("page", [p for p in PAGES if any(blocks(p))], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "examples")
    # What a page registers is forgotten again.
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setattr(algorithms, "ALGORITHMS", dict(algorithms.ALGORITHMS))
    namespace = {"__name__": "__main__"}
    for line, code in blocks(page):
        # Line numbers in a traceback are those of the page.
        exec(compile("\n" * line + code, str(page), "exec"), namespace)


def test_included_files_are_there():
    included = [ROOT / m["path"] for page in PAGES for m in INCLUDE.finditer(page.read_text())]
    assert included and all(path.exists() for path in included)


def test_every_python_block_is_found():
    """A block that is indented or has options would be passed over in silence."""
    for page in PAGES:
        text = page.read_text()
        assert len(re.findall(r"```\s*(?:python|py)\b", text)) == len(BLOCK.findall(text)), page
