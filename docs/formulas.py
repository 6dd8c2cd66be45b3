"""Docstrings as the documentation shows them: formulas, written with the letters of mathematics, become MathML.

Docstrings stay readable in an editor: `h_t = z ∘ h_{t-1} + (1 - z) ∘ n`. This Sphinx extension finds their formulas,
writes them as LaTeX, and renders LaTeX as MathML, which browsers show without a script or a network.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx

GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "θ": "theta", "λ": "lambda", "μ": "mu",
    "ν": "nu", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "ψ": "psi", "ω": "omega", "Δ": "Delta",
    "Σ": "sum", "Φ": "Phi", "Ω": "Omega", "Π": "prod",
}  # fmt: skip
SIGNS = {
    "∘": r"\circ", "·": r"\cdot", "×": r"\times", "≤": r"\le", "≥": r"\ge", "<=": r"\le", ">=": r"\ge", "!=": r"\ne",
    "→": r"\to", "←": r"\gets", "∈": r"\in", "…": r"\ldots", "⌊": r"\lfloor", "⌋": r"\rfloor", "⟨": r"\langle",
    "⟩": r"\rangle", "≈": r"\approx", "∞": r"\infty", "∂": r"\partial", "−": "-",
}  # fmt: skip
POWERS = {"ᵀ": r"\top", "²": "2", "³": "3", "⁻¹": "-1"}
STRONG = re.compile(rf"[{''.join(GREEK)}∘√ᵀ²³⌊∈≈∂⟨]|\b[A-Za-z]'?_(?:\w{{1,2}}\b|{{)|\b[a-z]+_(?:\w\b|{{)")
RELATION = re.compile(r"[A-Za-z](?:'|\([a-z]\))? (?:=|<=|>=|<|>) \S")
FUNCTIONS = {
    "tanh", "softmax", "exp", "log", "ln", "silu", "swish", "elu", "relu", "maxout", "max", "min", "mod", "diag", "Re",
    "Im", "RMSNorm", "LN", "GroupNorm", "GRU", "LSTM", "sign", "cos", "sin",
}  # fmt: skip
NAMES = {"scale"}  # words that are variables of formulas
ATOM = re.compile(
    r"\s+|[A-Za-z]+|\d[\d,]*\.?\d*|[<>!]=|⁻¹|\{|\}|.",
)
WORD = re.compile(r"[A-Za-z]{2,}")
CODE = re.compile(r"(`[^`]+`)")
KEY = re.compile(r"[A-Za-z][\w.]*(?:(?:, | … )[A-Za-z][\w.]*)*: ")


def tex(text: str) -> str:
    """A formula in LaTeX."""
    text = re.sub(r"\^\(([^()]*)\)", r"^{\1}", text)  # 2^(-5-h)
    out, atoms, position = [], ATOM.findall(text), 0

    def script(start: int) -> tuple[str, int]:
        """What an index or a power is, and where it ends."""
        if atoms[start] == "{":
            depth, end = 1, start + 1
            while depth:
                depth += {"{": 1, "}": -1}.get(atoms[end], 0)
                end += 1
            return tex("".join(atoms[start + 1 : end - 1])), end
        word = atoms[start]
        if word.isalpha() and word.isascii():
            return (rf"\text{{{word}}}" if len(word) > 2 else word), start + 1
        return tex(word), start + 1

    while position < len(atoms):
        atom = atoms[position]
        position += 1
        if atom in ("_", "^") and position < len(atoms):
            inner, position = script(position)
            out.append(f"{atom}{{{inner}}}")
        elif atom == "√" and position < len(atoms):
            depth, end = 0, position
            while end < len(atoms):  # a bracket, or up to the next space or sign
                depth += {"(": 1, ")": -1, "{": 1, "}": -1}.get(atoms[end], 0)
                if depth < 0 or (depth == 0 and re.fullmatch(r"\s+|[-+/,=]", atoms[end])):
                    break
                end += 1
                if depth == 0 and atoms[end - 1] == ")":
                    break
            inner = "".join(atoms[position:end])
            bracketed = inner.startswith("(") and inner.endswith(")")
            out.append(rf"\sqrt{{{tex(inner[1:-1] if bracketed else inner)}}}")
            position = end
        elif atom in POWERS:
            out.append(f"^{{{POWERS[atom]}}}")
        elif atom in GREEK:
            out.append(rf"\{GREEK[atom]} ")
        elif atom in SIGNS:
            out.append(f" {SIGNS[atom]} ")
        elif atom in ("{", "}", "%", "#", "&"):
            out.append("\\" + atom)
        elif atom.isspace():
            out.append(r"\," if len(atom) == 1 and re.match(r"[A-Za-z(]|√", "".join(atoms[position:])) else " ")
        elif WORD.fullmatch(atom):
            out.append(rf"\operatorname{{{atom}}}" if atom in FUNCTIONS else rf"\text{{{atom}}}")
        else:
            out.append(atom)
    # A thin space between factors, none beside a sign.
    signs = r"\\(?:circ|cdot|times|le|ge|ne|to|in|approx)\b"
    joined = re.sub(rf"\\, *(?={signs})|(?<=[-+=<>/(|])\\,", " ", "".join(out))
    return re.sub(rf"({signs}) *\\,", r"\1 ", joined).strip()


def is_part(token: str) -> bool:
    """Whether a token without spaces can be part of a formula."""
    bare = re.sub(r"_\{[^}]*\}|_\w+", "", token)
    words = [word for word in WORD.findall(bare) if word not in FUNCTIONS | NAMES]
    if words:
        named = re.findall(r"([A-Za-z]{2,})_(?:\w\b|\{)", token)  # decay_t
        names = re.findall(r"\b([a-z])_[a-z]{3,}\b", token)  # d_head
        return not names and all(word in named for word in words)
    primes = re.sub(r"\b[A-Za-z]'(?![A-Za-z])", "", token)
    return bool(re.fullmatch(r"[^`'\"“”?!§%#&]*", primes))


def formulas(text: str) -> Iterator[tuple[bool, str]]:
    """The text in pieces, each with whether it is a formula."""
    tokens = re.split(r"( +)", text)
    run: list[str] = []
    plain: list[str] = []

    def flush() -> Iterator[tuple[bool, str]]:
        nonlocal run
        before: list[str] = []
        while run and (run[0].isspace() or not run[0] or re.fullmatch(r"[-–…a,]|I", run[0])):
            before.append(run.pop(0))
        body = "".join(run)
        core = re.sub(r"(?:\s*\([A-Z]\w*,[^()]*\)|[ ,.;:…]+|\s[-=+/<>·∘]+|\sa|\sI)+$", "", body)
        while core.endswith(")") and core.count(")") > core.count("("):
            core = core[:-1]
        tail = body[len(core) :]
        lead = (
            core[: len(core) - len(core.lstrip("(=-+/<> "))]
            if core.count("(") > core.count(")") or core[:1] in "=/<>+"
            else ""
        )
        core = core[len(lead) :]
        balanced = core.count("(") == core.count(")") and core.count("[") == core.count("]")
        if core and balanced and (STRONG.search(core) or RELATION.match(core)):
            yield False, "".join([*plain, *before, lead])
            plain.clear()
            yield True, core
            plain.append(tail)
        else:
            plain.extend([*before, body])
        run = []

    for token in tokens:
        if token.isspace() or (token and is_part(token)):
            run.append(token)
            joined = "".join(run)
            if token[-1:] in ",;:." and joined.count("(") <= joined.count(")"):
                yield from flush()
        else:
            yield from flush()
            plain.append(token)
    yield from flush()
    if plain:
        yield False, "".join(plain)


def escaped(text: str) -> str:
    """Plain text for reStructuredText."""
    return re.sub(r"([*|\\])|_(?=\W|$)", lambda match: "\\" + match[0], text)


def can_be_shown(latex: str) -> bool:
    """Whether docutils can convert it; what it cannot convert is shown as code."""
    try:
        latex2mathml.tex2mathml(latex)
    except latex2mathml.MathError:
        return False
    return True


def inline(text: str) -> str:
    """A paragraph in reStructuredText: code as code, formulas as formulas."""
    out = []
    for piece in CODE.split(text):
        if CODE.fullmatch(piece):
            out.append(f"\\ `{piece}`\\ ")
        else:
            for formula, part in formulas(piece):
                role = "math" if formula and can_be_shown(tex(part)) else "code"
                shown = tex(part) if role == "math" else part
                out.append(f"\\ :{role}:`{shown}`\\ " if formula else escaped(part))
    return "".join(out)


def display(line: str) -> str:
    """A line of an equation that stands alone, words of it upright."""
    return r"\quad ".join(tex(part) for part in re.split(r" {2,}", line.replace("`", "").strip()))


def restructured(lines: list[str]) -> list[str]:
    """A docstring in reStructuredText."""
    out: list[str] = []
    block: list[str] = []

    def close() -> None:
        if not block:
            return
        indent = len(block[0]) - len(block[0].lstrip())
        pad = block[0][:indent]
        text = [line.strip() for line in block]
        if (
            indent >= 4
            and not out_is_section()
            and all(STRONG.search(line) and can_be_shown(display(line)) for line in text)
        ):
            for line in text:
                out.extend([f"{pad[4:]}.. math:: {display(line)}", ""])
        elif indent >= 4 and not out_is_section() and any(" = " in line or "(" in line for line in text):
            out.extend([f"{pad[4:]}::", "", *block, ""])
        else:
            out.extend([*(f"{pad}{line}" for line in paragraphs(block, indent)), ""])
        block.clear()

    def out_is_section() -> bool:
        return any(re.fullmatch(r"(Raises|Returns|Args):", line) for line in out[-2:])

    for line in lines:
        if not line.strip():
            close()
        elif re.fullmatch(r"(Raises|Returns|Args|Yields):", line.strip()):
            close()
            out.append(line)
        else:
            block.append(line)
    close()
    return out


def paragraphs(block: list[str], indent: int) -> list[str]:
    """The block's text, every paragraph and item of a list in one line."""
    items: list[str] = []
    keyed = sum(bool(KEY.match(line[indent:])) for line in block) > 1
    for line in block:
        text = line[indent:]
        if not items or text.startswith("- ") or (keyed and KEY.match(text)):
            items.append(text.strip())
        else:
            items[-1] += " " + text.strip()
    if keyed and indent == 0:
        found = []
        for item in items:
            key = KEY.match(item)
            found += [f"- ``{key[0][:-2]}``: {inline(item[key.end() :])}" if key else inline(item)]
        return found
    return [("- " + inline(item[2:])) if item.startswith("- ") else inline(item) for item in items]


def comment_of(name: str) -> str:
    """The comment behind a field of a NamedTuple in its source."""
    module, cls, field = name.rsplit(".", 2)
    source = inspect.getsource(getattr(importlib.import_module(module), cls))
    found = re.search(rf"^ +{field}: [^#\n]+# (.+)$", source, re.MULTILINE)
    return found[1] if found else ""


def process_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """autodoc's hook, before napoleon reads the sections."""
    if lines[:1] and lines[0].startswith("Alias for field number"):
        lines[:] = [comment_of(name)]
    lines[:] = restructured(lines)


def process_signature(app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, result: str) -> Any:
    """Leaves out the arguments of `nn.Module` and of protocols, which say nothing."""
    return ("", result) if re.fullmatch(r"\(\*args(: Any)?, \*\*kwargs(: Any)?\)", signature or "") else None


def render(translator: Any, node: nodes.Node) -> None:
    """LaTeX as MathML."""
    block = isinstance(node, nodes.math_block)
    markup = latex2mathml.tex2mathml(node.astext(), as_block=block)
    tag, name = ("div", "formula") if block else ("span", "inline-formula")
    translator.body.append(f'<{tag} class="{name}">{markup}</{tag}>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry."""
    app.connect("autodoc-process-docstring", process_docstring, priority=400)
    app.connect("autodoc-process-signature", process_signature)
    app.add_html_math_renderer("mathml", inline_renderers=(render, None), block_renderers=(render, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
