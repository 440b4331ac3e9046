"""A hook of mkdocs: equations become MathML as the site is built, so that they show without a script or a network.

Browsers render MathML by themselves. Brackets that grow need a font with a table for mathematics, which not every
system has: the site carries STIX Two Math, from the package ``ziamath``, cut to the characters that equations use.
"""

import html
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
FONT = "STIXTwoMath.woff"
ARITHMATEX = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
THIN = "0.1667em"
UPRIGHT = re.compile(r"[A-Za-z]{2,}")
"""The name of a function, such as log, which is set upright and at a distance from what it is applied to."""
OPENING, CLOSING, BARS = set("([{|‖"), set(")]}"), set("|‖")
PAIRS = {")": "(", "]": "[", "}": "{"}
BEFORE_A_SIGN = OPENING | set("=,<>≤≥∼←→∣")
"""After these a minus is a sign, which is set close to its number."""
CHARACTERS = (
    *((0x20, 0x17F), (0x2B0, 0x36F), (0x370, 0x3FF), (0x2000, 0x20FF), (0x2100, 0x214F), (0x2190, 0x22FF)),
    *((0x2300, 0x23FF), (0x27E0, 0x27FF), (0x2A00, 0x2AFF), (0x1D400, 0x1D7FF)),
)
"""Ranges that the font keeps."""


def on_page_content(content: str, page: Any, **_: object) -> str:
    """Put MathML in the place of each equation of a page."""
    try:
        return ARITHMATEX.sub(_replace, content)
    except ValueError as error:
        raise ValueError(f"{page.file.src_uri}: {error}") from None


def on_post_build(config: Any, **_: object) -> None:
    """Put the font beside the style sheet that names it."""
    write_font(Path(config["site_dir"]) / "stylesheets" / FONT)


def convert(tex: str, display: bool = False) -> str:
    """Translate an equation into MathML.

    Raises:
        ValueError: if there is a command that the translation does not know.
    """
    from latex2mathml.converter import convert

    # The package knows neither ``\arg`` nor alphabets without braces, and takes ``\sim`` for the ASCII character.
    source = re.sub(r"\\arg\b", r"\\operatorname{arg}", tex).strip()
    source = re.sub(r"\\(mathbb|mathcal) *([A-Za-z0-9])", r"\\\1{\2}", source)
    translated = convert(source, display="block" if display else "inline").replace(r"\_", "_")
    translated = translated.replace("<mi>&#x0007E;</mi>", "<mo>∼</mo>")
    if "\\" in translated:
        raise ValueError(f"unknown command in the equation {tex!r}")
    ElementTree.register_namespace("", NAMESPACE)
    root = ElementTree.fromstring(translated)
    for row in list(root.iter()):
        _pair_bars(row)
        _space(row)
        _join_brackets(row)
    return ElementTree.tostring(root, encoding="unicode")


def write_font(path: Path) -> None:
    """Write the part of STIX Two Math that equations use, as WOFF."""
    import ziamath
    from fontTools import subset

    options = subset.Options(flavor="woff", layout_features=["*"], notdef_outline=True)
    font = subset.load_font(Path(ziamath.__file__).parent / "fonts" / "STIXTwoMath-Regular.ttf", options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[c for first, last in CHARACTERS for c in range(first, last + 1)])
    subsetter.subset(font)
    path.parent.mkdir(parents=True, exist_ok=True)
    subset.save_font(font, path, options)


def _replace(match: re.Match[str]) -> str:
    tag, bracket, tex = match.groups()
    return f'<{tag} class="equation">{convert(html.unescape(tex), bracket == "[")}</{tag}>'


def _space(row: ElementTree.Element) -> None:
    """Set functions, and minuses that are signs, as TeX does."""
    children = list(row)
    for child in children:
        children = list(row)
        place = children.index(child)
        before = children[place - 1] if place else None
        after = children[place + 1] if place + 1 < len(children) else None
        if _text(child) == "−" and (before is None or _text(before) in BEFORE_A_SIGN):
            child.set("form", "prefix")
        core = _core(child)
        if core is None:
            continue
        core.tag = f"{{{NAMESPACE}}}mi"
        core.attrib.clear()
        if row.tag.endswith(("mrow", "mstyle", "mtd", "math")):
            if before is not None and (_text(before) in CLOSING or not before.tag.endswith(("mo", "mspace"))):
                row.insert(place, _thin())
            if after is not None and _text(after) not in OPENING and not after.tag.endswith("mspace"):
                row.insert(list(row).index(child) + 1, _thin())


def _pair_bars(row: ElementTree.Element) -> None:
    """Tell bars that open an absolute value or a norm from those that close it."""
    is_script = lambda child: child.tag.endswith(("msub", "msup", "msubsup"))
    bars = [bar for child in row if _text(bar := child[0] if is_script(child) else child) in BARS]
    if len(bars) % 2:
        return
    for place, bar in enumerate(bars):
        bar.set("form", "postfix" if place % 2 else "prefix")
        if bar.get("minsize") is None:
            bar.set("stretchy", "false")


def _join_brackets(row: ElementTree.Element) -> None:
    """Set indices at a whole bracketed term instead of its closing bracket, which browsers would not let grow then."""
    for child in list(row):
        is_script = child.tag.endswith(("msub", "msup", "msubsup"))
        if not is_script or child[0].get("minsize") is None or _text(child[0]) not in PAIRS:
            continue
        children = list(row)
        closing, place, depth = child[0], children.index(child), 1
        opening = PAIRS[_text(closing)]
        first = place
        while first and depth:
            first -= 1
            if children[first].get("minsize") == closing.get("minsize"):
                depth += (_text(children[first]) == _text(closing)) - (_text(children[first]) == opening)
        if depth:
            continue
        term = ElementTree.Element(f"{{{NAMESPACE}}}mrow")
        for part in children[first:place]:
            row.remove(part)
            term.append(part)
        child.remove(closing)
        term.append(closing)
        child.insert(0, term)


def _core(element: ElementTree.Element) -> ElementTree.Element | None:
    """The function's name in an element that is one, with or without indices; otherwise None."""
    while element.tag.endswith(("msub", "msup", "msubsup", "munder", "mrow")) and len(element):
        if element.tag.endswith("mrow") and len(element) > 1:
            return None
        element = element[0]
    is_token = element.tag.endswith(("}mi", "}mo"))
    return element if is_token and UPRIGHT.fullmatch(element.text or "") else None


def _thin() -> ElementTree.Element:
    return ElementTree.Element(f"{{{NAMESPACE}}}mspace", {"width": THIN})


def _text(element: ElementTree.Element) -> str:
    return (element.text or "").strip() if element.tag.endswith("}mo") else ""
