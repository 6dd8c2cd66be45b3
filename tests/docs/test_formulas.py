"""Formulas in docstrings are found, and become LaTeX that Sphinx's own converter accepts."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path

import pytest
from docutils.utils.math import latex2mathml

from sightline import ops
from sightline.mixers import MIXERS

SPECIFICATION = importlib.util.spec_from_file_location("formulas", Path(__file__).parents[2] / "docs" / "formulas.py")
formulas = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(formulas)

CLASSES = {type(example.build(12)) for config in MIXERS.values() for example in config.examples()}
DOCUMENTED = sorted([*CLASSES, *(getattr(ops, name) for name in ops.__all__)], key=lambda one: one.__name__)


@pytest.mark.parametrize(
    ("written", "latex"),
    [
        ("h_{t-1}", "h_{t-1}"),
        ("W x_t", r"W\,x_{t}"),
        ("z ∘ h_t", r"z  \circ h_{t}"),
        ("Q Kᵀ / √d_head", r"Q\,K^{\top} / \sqrt{d_{\text{head}}}"),
        ("√(1 - |λ_j|²)", r"\sqrt{1 - |\lambda _{j}|^{2}}"),
        ("1 - 2^(-5-h)", "1 - 2^{-5-h}"),
        ("Σ_{s<=t} φ(k_s)", r"\sum _{s \le t} \phi (k_{s})"),
        ("tanh(c_t)", r"\operatorname{tanh}(c_{t})"),
    ],
)
def test_letters_of_mathematics_become_latex(written, latex):
    assert formulas.tex(written) == latex


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("The output is h_t (Elman 1990).", ["h_t"]),
        ("h_t = o ∘ tanh(c_t); the state is c_t, and no more", ["h_t = o ∘ tanh(c_t)", "c_t"]),
        ("y_t = q_t S_t (B, H, T, V) and the state", ["y_t = q_t S_t"]),
        ("z_t = σ(W_z x_t + b_z) (§ 3.1; log-space form: appendix B)", ["z_t = σ(W_z x_t + b_z)"]),
        ("softmax(scale · q kᵀ) v over the keys; scale is 1", ["softmax(scale · q kᵀ) v"]),
        ("d_head None = D/H, a row of (B, T, D) is a text", []),
        ("a unit's gates, I think, in float32", []),
    ],
)
def test_formulas_are_separated_from_text(text, parts):
    pieces = list(formulas.formulas(text))
    assert [piece for formula, piece in pieces if formula] == parts
    assert "".join(piece for _, piece in pieces) == text


def test_what_cannot_be_converted_stays_code():
    assert formulas.inline("with x_t = \u266d here") == "with \\ :code:`x_t = \u266d`\\  here"


@pytest.mark.parametrize("documented", DOCUMENTED, ids=lambda one: one.__name__)
def test_every_formula_of_a_docstring_can_be_shown(documented):
    text = "\n".join(formulas.restructured((inspect.getdoc(documented) or "").splitlines()))
    for one, alone in re.findall(r":math:`([^`]*)`|math:: (.*)", text):
        latex2mathml.tex2mathml(one or alone)
