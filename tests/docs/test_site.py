"""Links resolve, tables of options are those of the code, and the site builds without a warning."""

import dataclasses
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from jaxrl.algorithms import ALGORITHMS
from jaxrl.experiment.presets import PRESETS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def prose(page):
    """A page without its code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL))


def anchors(page):
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", h).strip().lower()) for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for path, anchor in LINK.findall(prose(page)):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {path}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {path}#{anchor}"


def test_every_page_is_in_the_menu():
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("tag:", lambda *_: None)
    menu = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"]

    def leaves(item):
        if isinstance(item, str):
            return [item]
        return [leaf for part in (item.values() if isinstance(item, dict) else item) for leaf in leaves(part)]

    assert sorted(leaves(menu)) == sorted(str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md"))


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_algorithm_has_a_page_with_all_of_its_options(name, hooks):
    page = (DOCS / "algorithms" / f"{name}.md").read_text()
    rendered = hooks.on_page_markdown(page)
    assert "<!-- options" not in rendered and "<!-- results" not in rendered
    module = ALGORITHMS[name]
    config = module.Config()
    for field in dataclasses.fields(module.Hyperparameters):
        assert f"| `--hp.{field.name}` |" in rendered
    for field in dataclasses.fields(module.Config):
        row = re.search(rf"^\| `--config.{field.name}` \| `([^`]*)` \|", rendered, re.MULTILINE)
        default = getattr(config, field.name)
        assert row[1] == ((",".join(map(str, default)) or "()") if isinstance(default, tuple) else str(default).lower())
    for heading in ("Idea", "Equations", "Pseudo-code", "Options", "Measured results", "References"):
        assert f"\n## {heading}\n" in rendered


def test_the_page_of_presets_has_each_with_its_values(hooks):
    rendered = hooks.on_page_markdown((DOCS / "presets.md").read_text())
    assert "<!-- presets" not in rendered
    for preset in PRESETS.values():
        assert f"\n### {preset.name}\n" in rendered and preset.source in rendered
    assert "hp.epsilon: piecewise([(20000.0, 1.0), (270000.0, 0.01)])" in rendered
    assert "env.protocol: machado" in rendered and "reward_clip: 1.0" in rendered


def test_the_page_of_speed_has_the_newest_of_each_case(hooks, tmp_path, monkeypatch):
    def kept(date, rate, ratio):
        measured = {"median": rate, "measured": [rate - 1, rate, rate + 1], "seconds": [1.0, 2.0, 3.0]}
        contenders = [{"name": "jaxrl", "failed": "", **measured}]
        contenders += [{"name": "peer", "failed": "no such module", "median": None, "measured": []}]
        ratios = [
            {"text": "jaxrl / plain", "value": ratio, "values": [ratio], "at_least": 2.0, "holds": ratio >= 2.0},
            {"text": "jaxrl / peer", "value": None, "values": [], "at_least": 2.0, "holds": None},
        ]
        case = {"name": "ppo", "title": "PPO alone", "quantity": "steps_per_second", "bounds": []}
        case |= {"contenders": contenders, "ratios": ratios}
        machine = {"date": date, "processor": "a processor", "cores": 2}
        (tmp_path / f"{date}.json").write_text(json.dumps({"machine": machine, "cases": [case]}))

    kept("2026-02-01", 1234.0, 2.5)
    kept("2026-01-01", 999.0, 1.5)
    monkeypatch.setattr(hooks, "BENCHMARKS", tmp_path)
    rendered = hooks.on_page_markdown((DOCS / "speed.md").read_text())
    assert "<!-- speed" not in rendered and rendered.count("### ppo:") == 1
    assert "PPO alone" in rendered and "\na processor, 2 cores, 2026-02-01." in rendered
    assert "| jaxrl | 1,234 (1,233 to 1,235) |" in rendered and "| peer | failed: no such module |" in rendered
    assert "| jaxrl / plain | 2.50 (2.50 to 2.50) | >= 2 | yes |" in rendered
    kept("2026-03-01", 1234.0, 1.5)
    assert "| jaxrl / plain | 1.50 (1.50 to 1.50) | >= 2 | NO |" in hooks.speed()


def test_results_are_the_newest_of_each_command(hooks, tmp_path, monkeypatch):
    published = {"source": "a paper", "value": 7.5, "deviation": None, "steps": 1_000, "kind": "training"}
    row = {
        "algorithm": "ppo", "env": "gymnax:CartPole-v1", "total_steps": 2_000, "num_seeds": 3, "deviation": 1.25,
        "lowest": 8.0, "published": [published], "failed": None,
    }  # fmt: skip
    other = {**row, "algorithm": "dqn", "mean": 1.0, "command": "jaxrl train dqn"}
    for date, mean, command in (("2026-02-01", 10.0, "a"), ("2026-01-01", 9.0, "a"), ("2026-01-02", 11.0, "b")):
        result = {"machine": {"date": date}, "rows": [{**row, "mean": mean, "command": command}, other]}
        (tmp_path / f"{date}.json").write_text(json.dumps(result))
    (tmp_path / "speed.json").write_text(json.dumps({"machine": {"date": "2026-01-01"}}))
    monkeypatch.setattr(hooks, "BENCHMARKS", tmp_path)

    rendered = hooks.results("ppo")

    assert "| gymnax:CartPole-v1 | 2,000 | 3 | 10.0 ± 1.2 | 8.0 | `a` |" in rendered
    assert "11.0 ± 1.2" in rendered and "9.0 ±" not in rendered and "1.0 ± 1.2 | 8.0 | `jaxrl" not in rendered
    assert rendered.count("| CartPole-v1 | 7.5 | 1,000 | training | a paper |") == 1
    assert hooks.results("iqn") == "Not yet measured."


def test_curves_stand_below_the_results_that_they_are_of(hooks, tmp_path, monkeypatch):
    row = {"algorithm": "ppo", "env": "CartPole-v1", "total_steps": 1, "num_seeds": 1, "mean": 1.0, "deviation": 0.0}
    row |= {"lowest": 1.0, "published": [], "failed": None}
    for name, date, algorithm in (
        ("old", "2026-11-22", "ppo"),
        ("new", "2026-12-02", "ppo"),
        ("other", "2026-12-02", "dqn"),
    ):
        rows = [row | {"algorithm": algorithm, "command": name}]
        (tmp_path / f"{name}.json").write_text(json.dumps({"machine": {"date": date}, "rows": rows}))
        (tmp_path / f"{name}-CartPole-v1.png").write_bytes(b"")
    monkeypatch.setattr(hooks, "BENCHMARKS", tmp_path)
    shown = hooks.results("ppo")
    assert re.findall(r"!\[[^]]*\]\(\.\./pictures/(.*?)\)", shown) == ["old-CartPole-v1.png", "new-CartPole-v1.png"]
    assert "confidence intervals by Student's t" in shown and "| 1 | 1 | 1.0 | 1.0 |" in shown
    # Results of the same command that are newer take the place of the old ones, and so do their curves.
    newer = json.dumps({"machine": {"date": "2026-12-03"}, "rows": [row | {"command": "old"}]})
    (tmp_path / "newer.json").write_text(newer)
    shown = hooks.results("ppo")
    assert "new-CartPole-v1.png" in shown and "old-" not in shown and "Student" not in shown


def test_the_reference_has_every_public_module():
    listed = set(
        re.findall(r"^::: (\S+)$", "\n".join(p.read_text() for p in (DOCS / "api").glob("*.md")), re.MULTILINE)
    )
    package = ROOT / "jaxrl"
    modules = {".".join(("jaxrl", *p.relative_to(package).with_suffix("").parts)) for p in package.rglob("*.py")}
    modules = {m for m in modules if not m.rpartition(".")[2].startswith("_")}
    assert modules - listed == set(), "add them to a page of docs/api"
    assert {m for m in listed - modules if not (ROOT / m.replace(".", "/")).is_dir()} == set()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built as a reader would."""
    for package in ("mkdocs", "mkdocstrings", "material", "latex2mathml", "ziamath"):
        pytest.importorskip(package, reason="needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def built(site, page):
    """The HTML that a page of docs/ became."""
    path = page.relative_to(DOCS).with_suffix("")
    path = path.parent if path.name == "index" else path
    return (site / path / "index.html").read_text()


def test_the_site_builds_without_a_warning(site):
    assert (site / "index.html").exists()


def test_the_site_needs_no_network(site):
    loaded = re.compile(r"<(?:script|img|iframe|source)[^>]*\ssrc=[\"']?([^\"' >]+)|<link[^>]*\shref=[\"']?([^\"' >]+)")
    for page in site.rglob("*.html"):
        for found in loaded.findall(page.read_text()):
            url = "".join(found)
            assert not url.startswith(("http:", "https:", "//")), f"{page.name}: {url}"
    sheets = [*(ROOT / "docs" / "stylesheets").glob("*.css"), *site.rglob("*.css")]
    assert len(sheets) >= 3
    for sheet in sheets:
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", sheet.read_text()), sheet


def test_equations_are_there_without_a_script(site):
    font = (site / "stylesheets" / "STIXTwoMath.woff").read_bytes()
    assert font.startswith(b"wOFF") and "STIXTwoMath.woff" in (site / "stylesheets" / "site.css").read_text()
    written = 0
    for page in DOCS.rglob("*.md"):
        tex = re.sub(r"\$\$.+?\$\$|(?<!\$)\$[^$\n]+\$", "EQUATION", prose(page), flags=re.DOTALL).count("EQUATION")
        shown = built(site, page)
        assert shown.count("<math") >= tex, page.name
        assert 'class="arithmatex"' not in shown and "\\(" not in re.sub(r"<code.*?</code>", "", shown, flags=re.DOTALL)
        written += tex
    assert written > 200


def test_names_of_options_stay_in_one_piece(site):
    shown = built(site, DOCS / "algorithms" / "dqn.md")
    assert '<code><span class="word">--config.target_update_period</span></code>' in shown
    assert ".word {\n  white-space: nowrap;" in (site / "stylesheets" / "site.css").read_text()
