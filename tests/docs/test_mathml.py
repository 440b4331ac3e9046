"""Equations of the pages as MathML: spaces, signs and brackets are those of TeX."""

import importlib.util
import re
from pathlib import Path

import pytest

THIN = '<mspace width="0.1667em" />'


@pytest.fixture(scope="module")
def mathml():
    pytest.importorskip("latex2mathml", reason="needs the extra docs")
    spec = importlib.util.spec_from_file_location("docs_mathml", Path(__file__).parents[2] / "docs" / "mathml.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("tex", "part"),
    [
        (r"\arg\max_a Q", f"<mi>arg</mi>{THIN}<msub><mi>max</mi><mi>a</mi></msub>{THIN}<mi>Q</mi>"),
        (r"\mathbb E[x]", "<mi>𝔼</mi>"),
        (r"x \sim y", "<mo>∼</mo>"),
        ("x = -1", '<mo form="prefix">−</mo>'),
        (r"a\log p", f"<mi>a</mi>{THIN}<mi>log</mi>{THIN}<mi>p</mi>"),
        (r"\operatorname{clip}(x)", "<mi>clip</mi><mo"),
        ("|a|", '<mo stretchy="false" form="postfix">|</mo>'),
    ],
)
def test_equations_are_set_as_tex_does(tex, part, mathml):
    shown = mathml.convert(tex)
    assert part in shown, shown


def test_an_index_at_a_bracket_belongs_to_the_whole_term(mathml):
    shown = mathml.convert(r"\bigl(x\bigr)^2", display=True)
    assert re.search(r"<msup><mrow><mo[^>]*>\(</mo><mi>x</mi><mo[^>]*>\)</mo></mrow><mn>2</mn></msup>", shown), shown


def test_an_unknown_command_is_told(mathml):
    with pytest.raises(ValueError, match=r"unknown command in the equation '.+nonsense"):
        mathml.convert(r"\nonsense x")
