"""A hook of mkdocs: the line ``<!-- options:ppo -->`` becomes the tables of that algorithm's options.

The tables are made of the dataclasses themselves, so they are never older than the code. The line ``<!-- presets -->``
becomes a section for each preset, ``<!-- results:ppo -->`` what the learning benchmarks kept of that algorithm, and
``<!-- speed -->`` what the benchmarks of speed kept.
"""

import json
import re
import sys
from pathlib import Path

MARKER = re.compile(r"^<!-- (options|results):(\w+) -->$", re.MULTILINE)
BENCHMARKS = Path(__file__).parents[1] / "benchmarks" / "results"


def on_startup(**_: object) -> None:
    """The site can be built whether or not jaxrl is installed."""
    sys.path.insert(0, str(Path(__file__).parents[1]))


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the tables in a page."""
    markdown = MARKER.sub(lambda match: {"options": options, "results": results}[match[1]](match[2]), markdown)
    markdown = re.sub(r"^<!-- presets -->$", lambda _: presets(), markdown, flags=re.MULTILINE)
    return re.sub(r"^<!-- speed -->$", lambda _: speed(), markdown, flags=re.MULTILINE)


def options(name: str) -> str:
    """Two tables, of hyper-parameters and of the configuration: option, default, meaning."""
    from jaxrl import algorithms
    from jaxrl.experiment.listing import field_docs
    from jaxrl.experiment.settings import hyperparameter_defaults
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
    rows = [row for result in _kept() for row in result.get("rows", ())]
    rows = [row for row in rows if row["algorithm"] == name and not row["failed"]]
    rows = sorted({row["command"]: row for row in rows}.values(), key=lambda row: (row["env"], -row["total_steps"]))
    if not rows:
        return "Not yet measured."
    measured = [
        (
            row["env"], f"{row['total_steps']:,}", str(row["num_seeds"]), f"{row['mean']:.1f} ± {row['deviation']:.1f}",
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
    return "\n\n".join(parts)


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


def _kept() -> list[dict]:
    """All results, the newest last."""
    results = (json.loads(path.read_text()) for path in BENCHMARKS.glob("*.json"))
    return sorted(results, key=lambda result: result["machine"]["date"])


def _table(columns: tuple[str, ...], rows: list[tuple]) -> str:
    return _rows(columns, [(f"`{option}`", _code(default), *rest) for option, default, *rest in rows])


def _rows(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [columns, ("---",) * len(columns), *rows])


def _code(value: object) -> str:
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return f"`{str(value).lower() if value is None or isinstance(value, bool) else value}`"
