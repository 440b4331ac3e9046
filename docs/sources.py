"""The tables of ``docs/presets.md``: presets of other projects, their sources, what differs, and what they reached.

``python docs/sources.py`` writes them into the page, from the presets and what the benchmarks keep. A test compares.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "presets.md"
BENCHMARKS = ROOT / "benchmarks" / "results"
BLOCK = re.compile(r"(?<=<!-- sources -->\n).*?(?=<!-- end -->\n)", re.DOTALL)
COLUMNS = ("preset", "source", "what differs", "run here")


def tables(presets, rows) -> str:
    """A section for each project, with a table of its presets.

    Args:
        presets: ``Preset`` s; those that were tuned here are left out.
        rows: of results, the newest last, each with the ``date`` of its measurement.
    """
    projects = {}
    for preset in presets:
        if not preset.tuned:
            projects.setdefault(preset.commit.partition("@")[0], []).append(preset)
    return "\n".join(_section(project, group, rows) for project, group in projects.items())


def measured(preset, rows) -> str:
    """What a preset reached here: the newest of each command."""
    own = {row["command"]: row for row in rows if row.get("preset") == preset.name and not row["failed"]}
    return "; ".join(_result(row, preset.changed) for row in own.values()) or "not run"


def kept_rows() -> list[dict]:
    """All rows of learning benchmarks, the newest last."""
    results = [json.loads(path.read_text()) for path in BENCHMARKS.glob("*.json")]
    results = sorted(results, key=lambda result: result["machine"]["date"])
    return [row | {"date": result["machine"]["date"]} for result in results for row in result.get("rows", ())]


def write() -> str:
    """The page with its tables made anew."""
    sys.path.insert(0, str(ROOT))
    from jaxrl.experiment.presets import PRESETS

    made = tables(PRESETS.values(), kept_rows())
    return BLOCK.sub(lambda _: f"\n{made}\n", PAGE.read_text())


def _section(project: str, presets: list, rows: list[dict]) -> str:
    # In the order of the first preset; what one preset has alone stays in its row.
    common = [d for d in presets[0].differs if len(presets) > 1 and all(d in p.differs for p in presets)]
    lines = [f"### {project}", ""]
    if common:
        lines += [f"All of them: {'; '.join(common)}.", ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join("---" for _ in COLUMNS) + " |"]
    for preset in presets:
        differs = "; ".join(d for d in preset.differs if d not in common) or "-"
        source = f"{preset.source.partition(', ')[2]} ({', '.join(map(_link, preset.commit.split(', ')))})"
        lines.append(f"| `{preset.name}` | {source} | {differs} | {measured(preset, rows)} |")
    return "\n".join([*lines, ""])


def _link(commit: str) -> str:
    repository, _, revision = commit.partition("@")
    return f"[{repository.partition('/')[2]}@{revision}](https://github.com/{repository}/tree/{revision})"


def _result(row: dict, changed: str) -> str:
    given = " ".join(re.findall(r"--(?:hp|config|env)\.\S+ (?:'[^']*'|\S+)", row["command"]))
    extra = f", with `{given}`" if given else ""
    earlier = ", with the values before " + changed if changed and row["date"][:10] < changed else ""
    env = row["env"].rpartition(":")[2]
    seeds = f"{row['num_seeds']} seed{'s' if row['num_seeds'] > 1 else ''}"
    return f"{row['mean']:,.1f} on {env} after {row['total_steps']:,} steps, {seeds}{extra}{earlier}"


if __name__ == "__main__":
    PAGE.write_text(write())
