"""The tables of presets' sources: they are those of the presets, and say what was measured and what was not."""

import importlib.util
from pathlib import Path

from jaxrl.experiment.presets import PRESETS, Preset

DOCS = Path(__file__).parents[2] / "docs"
_SPEC = importlib.util.spec_from_file_location("docs_sources", DOCS / "sources.py")
sources = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sources)


def row(preset="dqn/one", command="jaxrl train dqn", date="2026-01-02T10:00:00", mean=7.25, failed=None, seeds=2):
    fields = {"preset": preset, "command": command, "date": date, "mean": mean, "failed": failed, "num_seeds": seeds}
    return fields | {"env": "gymnax:Task", "total_steps": 1_500}


def test_the_page_has_the_tables_of_the_presets_and_the_kept_results():
    assert sources.write() == (DOCS / "presets.md").read_text(), "python docs/sources.py makes the tables anew"
    for preset in PRESETS.values():
        assert (f"\n| `{preset.name}` | " in sources.write()) != preset.tuned


def test_what_all_presets_of_a_project_differ_in_stands_above_their_table():
    preset = lambda name, **differs: Preset(f"dqn/{name}", "dqn", "Task", f"A project, {name}.py", **differs)
    one = preset("one", commit="me/it@0123abc", differs=("both", "in one"))
    two = preset("two", commit="me/it@0123abc", differs=("both", "in two"))
    tuned = Preset("dqn/Task", "dqn", "Task", "tuned here")
    lines = sources.tables([one, tuned, two], [row()]).splitlines()
    link = "[it@0123abc](https://github.com/me/it/tree/0123abc)"
    assert lines[0] == "### me/it" and lines[2] == "All of them: both."
    assert lines[6:8] == [
        f"| `dqn/one` | one.py ({link}) | in one | 7.2 on Task after 1,500 steps, 2 seeds |",
        f"| `dqn/two` | two.py ({link}) | in two | not run |",
    ]


def test_results_are_the_newest_of_each_command_with_what_was_given_beside_the_preset():
    preset = Preset("dqn/one", "dqn", "Task", "", changed="2026-01-02")
    rows = [
        row(date="2026-01-01T00:00:00", mean=1.0, command="a --config.n_step 3 --hp.tau 'linear(1, 0)' --seed 1"),
        row(date="2026-01-01T00:00:00", mean=2.0, command="b"),
        row(date="2026-01-02T00:00:00", mean=3.0, command="b", seeds=1),
        row(command="c", failed="exit status 1"),
        row(preset="dqn/two", command="d"),
    ]
    assert sources.measured(preset, rows) == (
        "1.0 on Task after 1,500 steps, 2 seeds, with `--config.n_step 3 --hp.tau 'linear(1, 0)'`, with the values "
        "before 2026-01-02; 3.0 on Task after 1,500 steps, 1 seed"
    )
