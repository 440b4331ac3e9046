import io

from rich.console import Console

from jaxrl.experiment import listing
from jaxrl.experiment.presets import PRESETS


def printed(width, monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(listing, "make_console", lambda: Console(file=file, width=width))
    listing.print_presets("qr_dqn")
    return file.getvalue().splitlines()


def test_sources_stand_below_the_presets_where_the_terminal_is_narrow(monkeypatch):
    lines = printed(80, monkeypatch)
    assert max(map(len, lines)) <= 80
    place = lines.index("qr_dqn/zoo-acrobot  Acrobot-v1  100,000 steps")
    source = []
    while lines[place + 1 + len(source)].startswith("    "):
        source.append(lines[place + 1 + len(source)].strip())
    assert " ".join(source) == PRESETS["qr_dqn/zoo-acrobot"].provenance
    assert len(source) <= 4


def test_sources_have_a_column_where_it_is_wide(monkeypatch):
    lines = printed(160, monkeypatch)
    assert any(line.split()[:4] == ["qr_dqn/zoo-acrobot", "Acrobot-v1", "100,000", "steps"] for line in lines)
