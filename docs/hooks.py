"""A hook of mkdocs: the line ``<!-- options:ppo -->`` becomes the tables of that algorithm's options.

The tables are made of the dataclasses themselves, so they are never older than the code. The line ``<!-- presets -->``
becomes a section for each preset, ``<!-- results:ppo -->`` what the learning benchmarks kept of that algorithm, and
``<!-- speed -->`` what the benchmarks of speed kept. ``<!-- watch:atari -->`` shows the videos of such benchmarks.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

MARKER = re.compile(r"^<!-- (options|results|watch):(\w+) -->$", re.MULTILINE)
BOOTSTRAP_SINCE = "2026-12"
"""Pictures of older results have bands by Student's t."""
INLINE_CODE = re.compile(r"(?<!<pre>)<code>([^<\n]*)</code>")
WORD = re.compile(r"(?<!\S)(?=\S*[-.])\S{1,42}(?!\S)")
BENCHMARKS = Path(__file__).parents[1] / "benchmarks" / "results"


def on_startup(**_: object) -> None:
    """The site can be built whether or not jaxrl is installed."""
    sys.path.insert(0, str(Path(__file__).parents[1]))


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the tables in a page."""
    made = {"options": options, "results": results, "watch": watch}
    markdown = MARKER.sub(lambda match: made[match[1]](match[2]), markdown)
    markdown = re.sub(r"^<!-- presets -->$", lambda _: presets(), markdown, flags=re.MULTILINE)
    return re.sub(r"^<!-- speed -->$", lambda _: speed(), markdown, flags=re.MULTILINE)


def on_files(files: Any, config: Any, **_: object) -> Any:
    """Put the pictures of the benchmarks into the site."""
    from mkdocs.structure.files import File

    for path in sorted([*BENCHMARKS.glob("*.png"), *BENCHMARKS.glob("*.gif")]):
        files.append(File.generated(config, f"pictures/{path.name}", abs_src_path=str(path)))
    return files


def on_page_content(content: str, **_: object) -> str:
    """Keep each word of inline code in one piece, as far as it fits on a phone, instead of a break at a hyphen."""
    words = lambda match: WORD.sub(r'<span class="word">\g<0></span>', match[1])
    return INLINE_CODE.sub(lambda match: f"<code>{words(match)}</code>", content)


def options(name: str) -> str:
    """Two tables, of hyper-parameters and of the configuration: option, default, meaning."""
    from jaxrl import algorithms
    from jaxrl.experiment.algorithm_fields import hyperparameter_defaults
    from jaxrl.experiment.listing import field_docs
    from jaxrl.experiment.values import BOUNDS, plain

    module = algorithms.get(name)
    docs = field_docs(module.Hyperparameters)
    hyperparameters = [
        (f"--hp.{field}", plain(default), docs.get(field, ""), str(BOUNDS.get(field, "")).removeprefix("must be "))
        for field, default in hyperparameter_defaults(module).items()
    ]
    docs, defaults = field_docs(module.Config), module.Config()
    config = [
        (f"--config.{field}", getattr(defaults, field), docs.get(field, "")) for field in defaults.__dataclass_fields__
    ]
    return "\n\n".join(
        [
            "Hyper-parameters are leaves of a pytree: numbers, or schedules. A sweep over them compiles once.",
            _table(("option", "default", "meaning", "range"), hyperparameters),
            "The configuration is static: another value is another program.",
            _table(("option", "default", "meaning"), config),
        ]
    )


def results(name: str) -> str:
    """Two tables, of what the learning benchmarks measured and of what others report; of each command the newest."""
    found = [(row, path, result["machine"]["date"]) for path, result in _files() for row in result.get("rows", ())]
    found = [(row, *of) for row, *of in found if row["algorithm"] == name and not row["failed"]]
    newest = {row["command"]: (row, *of) for row, *of in found}.values()
    rows = sorted((row for row, *_ in newest), key=lambda row: (row["env"], -row["total_steps"]))
    if not rows:
        return "Not yet measured."
    over_seeds = lambda row: f" ± {row['deviation']:.1f}" if row["num_seeds"] > 1 else ""
    measured = [
        (
            row["env"], f"{row['total_steps']:,}", str(row["num_seeds"]), f"{row['mean']:.1f}{over_seeds(row)}",
            f"{row['lowest']:.1f}", f"`{row['command']}`",
        )
        for row in rows
    ]  # fmt: skip
    deviation = lambda p: "" if p["deviation"] is None else f" ± {p['deviation']:g}"
    steps = lambda p: "" if p["steps"] is None else f"{p['steps']:,}"
    published = [
        (row["env"].rpartition(":")[2], f"{p['value']:g}{deviation(p)}", steps(p), p["kind"], p["source"])
        for row in rows
        for p in row["published"]
    ]
    parts = [
        "The return is each seed's mean over at least 32 deterministic episodes at the end, with the preset that the "
        "command takes by itself; ± is the deviation over the seeds.",
        _rows(("environment", "steps", "seeds", "return", "lowest seed", "command"), measured),
    ]
    if published:
        parts += [
            "What others report:",
            _rows(("environment", "return", "steps", "which", "source"), list(dict.fromkeys(published))),
        ]
    return "\n\n".join([*parts, *_curves({path: date for _, path, date in newest})])


def _curves(results: dict[Path, str]) -> list[str]:
    """The learning curves that lie beside results, with what their bands are."""
    pictures = {path: sorted(BENCHMARKS.glob(f"{path.stem}*.png")) for path in results}
    if not any(pictures.values()):
        return []
    parts = ["Curves of these runs, as the mean over the seeds."]
    if any(date < BOOTSTRAP_SINCE for path, date in results.items() if pictures[path]):
        parts[0] += (
            " Bands in pictures from before December 2026 are confidence intervals by Student's t, which can leave the"
            " range of the returns; `jaxrl plot` draws bootstrap intervals."
        )
    images = [(p, f"Learning curves: {p.stem}") for found in pictures.values() for p in found]
    return [*parts, *(f"![{text}](../pictures/{path.name}){{ loading=lazy }}" for path, text in images)]


def watch(kind: str) -> str:
    """The videos that lie beside the results of one kind."""
    images = [(p, p.stem.removeprefix(f"{kind}-").rsplit("-", 3)[0]) for p in sorted(BENCHMARKS.glob(f"{kind}-*.gif"))]
    return "\n\n".join(f"![{text}](pictures/{path.name}){{ loading=lazy }}\n{text}" for path, text in images)


def speed() -> str:
    """What the benchmark of speed prints of each case, from its newest measurement."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
    from speed import table

    # Of each name the last remains.
    cases = {case["name"]: (result["machine"], case) for result in _kept() for case in result.get("cases", ())}
    return "\n\n".join(
        f"{table(case).strip()}\n\n{machine['processor']}, {machine['cores']} cores, {machine['date'][:10]}."
        for machine, case in cases.values()
    )


def presets() -> str:
    """A section for each preset: what it is for, its source, and its values."""
    from jaxrl.experiment.presets import PRESETS
    from jaxrl.experiment.settings import to_yaml
    from jaxrl.experiment.values import plain

    sections = []
    for preset in PRESETS.values():
        values = {
            "hp": preset.hyperparameters,
            "config": preset.config,
            "env": preset.env_parameters,
        }
        record = {f"{kind}.{name}": plain(v) for kind, fields in values.items() for name, v in fields.items()}
        untouched = {"reward_shift": 0.0, "reward_scale": 1.0, "reward_clip": None, "reward_log": False}
        record |= {name: getattr(preset, name) for name, no in untouched.items() if getattr(preset, name) != no}
        sections += [
            f"### {preset.name}",
            f"For `{preset.env}`, {preset.total_steps:,} steps. Source: {preset.provenance}.",
            f"```yaml\n{to_yaml(record)}```",
        ]
    return "\n\n".join(sections)


def _files() -> list[tuple[Path, dict]]:
    """All files of results and what they hold, the newest last."""
    results = [(path, json.loads(path.read_text())) for path in sorted(BENCHMARKS.glob("*.json"))]
    return sorted(results, key=lambda found: found[1]["machine"]["date"])


def _kept() -> list[dict]:
    return [result for _, result in _files()]


def _table(columns: tuple[str, ...], rows: list[tuple]) -> str:
    return _rows(columns, [(f"`{option}`", _code(default), *rest) for option, default, *rest in rows])


def _rows(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [columns, ("---",) * len(columns), *rows])


def _code(value: object) -> str:
    if isinstance(value, tuple):
        value = ",".join(map(str, value)) or "()"
    return f"`{str(value).lower() if value is None or isinstance(value, bool) else value}`"
