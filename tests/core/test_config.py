"""The strict decoder: what it takes, what it refuses and in which words, and the laws of its round trips."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.core.config import decode, encode, override, resolve, to_yaml
from sightline.core.errors import InputError
from sightline.core.yaml12 import parse_yaml, read_yaml


@dataclass(frozen=True)
class Optim:
    lr: float = 1e-3
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    clip_norm: float | None = 1.0
    betas: tuple[float, float] = (0.9, 0.98)

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise InputError(f"must be positive, found {self.lr}", where="optim.lr")


@dataclass(frozen=True)
class Model:
    d_model: int = 8
    heads: int = 2

    def __post_init__(self) -> None:
        if self.d_model % self.heads:
            raise ValueError(f"d_model = {self.d_model} is not divisible by heads = {self.heads}")


@dataclass(frozen=True)
class Run:
    name: str
    seed: int = 0
    shuffle: bool = True
    limit: int | None = None
    out: Path = Path("runs")
    archs: tuple[str, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    layers: list[int] = field(default_factory=list)
    budget: int | str = 100
    optim: Optim = field(default_factory=lambda: Optim(lr=2e-3))
    model: Model = field(default_factory=Model)
    early: Model | None = None


def from_yaml(text: str) -> Run:
    return decode(Run, parse_yaml("name: x\n" + text))


def test_a_file_gives_what_it_says_and_defaults_fill_the_rest():
    run = from_yaml("seed: 3\noptim:\n  schedule: linear\narchs: [rnn, gru]\nweights: {a: 1}\nout: elsewhere\n")
    assert run == Run(
        name="x",
        seed=3,
        archs=("rnn", "gru"),
        weights={"a": 1.0},
        out=Path("elsewhere"),
        optim=Optim(lr=2e-3, schedule="linear"),
    )


def test_keys_left_out_of_a_nested_section_keep_the_field_s_default_not_the_class_s():
    assert from_yaml("optim: {clip_norm: null}").optim == Optim(lr=2e-3, clip_norm=None)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("3E4", 3e4), ("1", 1.0), (".5", 0.5), ("1.", 1.0), ("+1.5e+2", 150.0), ("'1e-3'", 1e-3)],
)
def test_every_spelling_of_a_number_is_a_number(text, value):
    assert from_yaml(f"optim: {{lr: {text}}}").optim.lr == value


@pytest.mark.parametrize("text", ["no", "off", "yes", "on", "y", "2020-01-01", "1:30", "1e", "=", "0o7", "1_000"])
def test_text_that_older_yaml_takes_for_something_else_is_text(text):
    assert decode(Run, parse_yaml(f"name: {text}")).name == text


def test_leading_zeros_are_decimal():
    assert from_yaml("seed: 0123").seed == 123


def test_an_empty_section_is_ignored():
    assert from_yaml("optim:\n  # lr: 1\nmodel:\n") == Run("x")


def test_an_optional_section_can_be_null_and_be_given():
    assert from_yaml("early: null").early is None
    assert from_yaml("early: {heads: 4}").early == Model(heads=4)


MALFORMED = {
    "unknown-key": ("sed: 1", "config.yaml: sed: unknown key, did you mean 'seed'?"),
    "unknown-nested-key": ("optim: {lrr: 1}", "config.yaml: optim.lrr: unknown key, did you mean 'lr'?"),
    "key-of-another-level": ("lr: 1", "config.yaml: lr: unknown key, did you mean 'optim.lr'?"),
    "nothing-like-it": ("optim: {zzz: 1}", "optim.zzz: unknown key; known: lr, schedule, clip_norm, betas"),
    "number-as-key": ("3: 1", "config.yaml: 3: unknown key"),
    "text-for-number": ("optim: {lr: fast}", "config.yaml: optim.lr: expected a number, found 'fast'"),
    "bool-for-number": ("optim: {lr: true}", "optim.lr: expected a number, found true"),
    "null-for-number": ("optim: {lr: null}", "optim.lr: expected a number, found null"),
    "nan": ("optim: {lr: .nan}", "optim.lr: expected a finite number, found nan"),
    "infinity": ("optim: {lr: .inf}", "optim.lr: expected a finite number, found inf"),
    "overflow": ("optim: {lr: 1e999}", "optim.lr: expected a finite number, found inf"),
    "number-too-long": (f"optim: {{lr: 1{'0' * 400}}}", "optim.lr: expected a finite number, found 1000"),
    "digits-without-end": (f"seed: 1{'0' * 5000}", "config.yaml: not readable as YAML"),
    "float-for-int": ("seed: 1.5", "seed: expected an integer, written in full, found 1.5"),
    "power-for-int": ("seed: 1e6", "seed: expected an integer, written in full, found 1000000.0"),
    "text-for-int": ("seed: '3'", "seed: expected an integer, written in full, found '3'"),
    "bool-for-int": ("seed: true", "seed: expected an integer, found true"),
    "text-for-bool": ("shuffle: no", "shuffle: expected true or false, found 'no'"),
    "int-for-bool": ("shuffle: 1", "shuffle: expected true or false, found 1"),
    "number-for-text": ("archs: [1]", "archs: expected text (put it in quotes) as item 1, found [1]"),
    "text-for-list": ("archs: rnn", "archs: expected a list, found 'rnn'"),
    "list-for-text": ("out: [a]", "out: expected a path, found ['a']"),
    "empty-path": ("out: ''", "out: expected a path, found ''"),
    "outside-the-choices": (
        "optim: {schedule: cosin}",
        "expected one of cosine, linear, constant (did you mean 'cosine'?), found 'cosin'",
    ),
    "choice-of-wrong-type": (
        "optim: {schedule: 3}",
        "optim.schedule: expected one of cosine, linear, constant, found 3",
    ),
    "too-few-items": ("optim: {betas: [0.9]}", "optim.betas: expected a list of 2, found [0.9]"),
    "wrong-item": ("optim: {betas: [0.9, x]}", "optim.betas: expected a number as item 2, found [0.9, 'x']"),
    "optional-of-wrong-type": ("limit: many", "limit: expected an integer, written in full or null, found 'many'"),
    "union-of-wrong-type": ("budget: [1]", "budget: expected an integer or text, found [1]"),
    "value-for-section": ("optim: 3", "optim: expected the keys lr, schedule, clip_norm, betas, found 3"),
    "control-character-in-key": ('"a\\nb": 1', "config.yaml: 'a\\nb': unknown key"),
    "section-for-value": ("seed: {a: 1}", "seed: expected an integer, found {'a': 1}"),
    "list-for-dict": ("weights: [1]", "weights: expected keys (text) and values, found [1]"),
    "wrong-value-in-dict": ("weights: {a: x}", "weights: expected a number under a, found {'a': 'x'}"),
    "refused-by-the-class": ("optim: {lr: -1}", "config.yaml: optim.lr: must be positive, found -1"),
    "values-that-do-not-fit": ("model: {heads: 3}", "config.yaml: model: d_model = 8 is not divisible by heads = 3"),
    "key-twice": ("seed: 1\nseed: 2", "config.yaml:3: not YAML: key 'seed' is repeated"),
    "not-yaml": ("seed: [1", "not YAML: "),
    "tab": ("optim:\n\tlr: 1", "config.yaml:3: not YAML: "),
    "python-object": ("seed: !!python/name:os.system", "config.yaml:2: not YAML: could not determine a constructor"),
    "undefined-alias": ("seed: *a", "config.yaml:2: not YAML: found undefined alias"),
    "recursive": ("early: &a {heads: *a}", "config.yaml:2: not YAML: found unconstructable recursive node"),
    "list-as-key": ("? [1, [2]]\n: 3", "config.yaml:2: not YAML: found unhashable key"),
    "control-character": ("seed: \x01", "config.yaml: not YAML: character 0x1 is not allowed"),
    "nested-without-end": ("layers: " + "[" * 5000 + "]" * 5000, "config.yaml: not readable as YAML"),
    "wrong-long-value": ("seed: " + "x" * 10000, "found 'xxx"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_one_line_that_names_place_and_reason(case):
    text, message = MALFORMED[case]
    with pytest.raises(InputError) as raised:
        from_yaml(text)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


def test_a_missing_key_is_named():
    with pytest.raises(InputError, match=r"config\.yaml: missing key 'name'"):
        decode(Run, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: \xff", "run.yaml: not UTF-8 text (byte 6)"),
        (b"- a\n- b\n", "run.yaml: expected lines `key: value`, found ['a', 'b']"),
        (b"just text", "run.yaml: expected lines `key: value`, found 'just text'"),
        (None, "run.yaml: no such file"),
    ],
    ids=["invalid-utf8", "list", "scalar", "absent"],
)
def test_a_file_that_is_no_configuration(tmp_path, content, message):
    path = tmp_path / "run.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        read_yaml(path)
    assert str(raised.value).endswith(message)


def test_a_byte_order_mark_and_an_empty_file_are_accepted(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x")
    assert read_yaml(path) == {"name": "x"}
    path.write_bytes(b"# nothing yet\n")
    assert read_yaml(path) == {}


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("optim.lr", "3e-4", 3e-4),
        ("optim.clip_norm", "none", None),
        ("optim.betas", "0.8, 0.9", (0.8, 0.9)),
        ("seed", "7", 7),
        ("shuffle", "no", False),
        ("shuffle", "True", True),
        ("name", "123", "123"),
        ("limit", "null", None),
        ("archs", "rnn,gru", ("rnn", "gru")),
        ("archs", "", ()),
        ("budget", "60", 60),
        ("budget", "60s", "60s"),
        ("out", "a/b", Path("a/b")),
        ("optim.lr", 1, 1.0),
    ],
)
def test_text_from_a_flag_is_read_as_the_field_wants_it(key, text, value):
    changed: Any = override(Run("x"), {key: text})
    for part in key.split("."):
        changed = getattr(changed, part)
    assert changed == value
    assert type(changed) is type(value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optim.lrr": "1"}, "--optim.lrr: unknown key, did you mean 'lr'?"),
        ({"optim.lr": "fast"}, "--optim.lr: expected a number, found 'fast'"),
        ({"optim.lr": "-1"}, "--optim.lr: must be positive, found -1.0"),
        ({"seed": "1.5"}, "--seed: expected an integer, written in full, found '1.5'"),
        ({"shuffle": "maybe"}, "--shuffle: expected true or false, found 'maybe'"),
        ({"optim": "1"}, "--optim: expected the keys lr, schedule, clip-norm, betas, found '1'"),
        ({"seed.x": "1"}, "--seed: expected an integer, found {'x': '1'}"),
        ({"optim": "1", "optim.lr": "2"}, "--optim.lr: set both as a whole and by sub-key"),
        ({"optim.lr": "2", "optim": "1"}, "--optim: set both as a whole and by sub-key"),
        ({"": "2"}, "unknown key"),
        ({"optim.clip_nrom": "2"}, "--optim.clip-nrom: unknown key, did you mean 'clip-norm'?"),
        ({"optim.clip_norm": "x"}, "--optim.clip-norm: expected a number or null, found 'x'"),
        ({"model.heads": "3"}, "--model: d_model = 8 is not divisible by heads = 3"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_override_names_the_flag(changes, message):
    with pytest.raises(InputError) as raised:
        override(Run("x"), changes, prefix="--")
    assert message in str(raised.value)


@pytest.mark.parametrize("order", [1, -1], ids=["whole first", "sub-key first"])
def test_a_section_that_is_given_as_a_whole_is_left_as_it_is(order):
    section = {"lr": 1e-3}
    changes = [("optim", section), ("optim.schedule", "cosine")][::order]
    with pytest.raises(InputError, match="set both as a whole and by sub-key"):
        override(Run("x"), dict(changes))
    assert section == {"lr": 1e-3}


@dataclass(frozen=True)
class Mixed:
    options: dict[str, dict[str, Any]] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("text", "value"),
    [("8", 8), ("1e-3", 1e-3), ("0.5", 0.5), ("true", True), ("null", None), ("none", "none"), ("no", "no"), ("", ""),
     ("[1", "[1"), ("a: b", "a: b"), ("0x", "0x")],
)  # fmt: skip
def test_text_of_a_flag_for_a_value_of_any_type_is_read_as_yaml_reads_it(text, value):
    (read,) = override(Mixed(), {"options.window.size": text}).options["window"].values()
    assert read == value
    assert type(read) is type(value)


def test_an_override_changes_nothing_else_and_not_the_given_one():
    run = Run("x", optim=Optim(lr=5.0, clip_norm=2.0))
    assert override(run, {"optim.lr": 1.0}) == Run("x", optim=Optim(lr=1.0, clip_norm=2.0))
    assert run.optim.lr == 5.0


def test_flag_beats_environment_beats_file_beats_default(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("name: file\nseed: 1\nlimit: 1\noptim: {lr: 1e-1, clip_norm: 3}\n")
    environ = {"SIGHTLINE_SEED": "2", "SIGHTLINE_LIMIT": "2", "SIGHTLINE_OPTIM__LR": "2e-1", "HOME": "/", "SEED": "9"}
    run = resolve(Run, file=path, environ=environ, flags={"limit": "3", "optim.schedule": "linear"})
    assert (run.name, run.seed, run.limit) == ("file", 2, 3)
    assert run.optim == Optim(lr=0.2, clip_norm=3.0, schedule="linear")
    assert run.model == Model()


def test_values_that_only_fit_together_may_come_from_different_sources(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("name: x\nmodel: {heads: 3}\n")
    assert resolve(Run, file=path, flags={"model.d_model": 9}).model == Model(9, 3)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SIGHTLINE_OPTIM__LR", "x", "SIGHTLINE_OPTIM__LR: expected a number, found 'x'"),
        ("SIGHTLINE_OPTIM__LRR", "1", "SIGHTLINE_OPTIM__LRR: unknown key, did you mean 'lr'?"),
        ("SIGHTLINE_OPTIMM__LR", "1", "SIGHTLINE_OPTIMM__LR: unknown key, did you mean SIGHTLINE_OPTIM?"),
        ("SIGHTLINE_SEDE", "1", "SIGHTLINE_SEDE: unknown key, did you mean SIGHTLINE_SEED?"),
    ],
)
def test_a_wrong_variable_is_named(variable, value, message):
    with pytest.raises(InputError) as raised:
        resolve(Run, base=Run("x"), environ={variable: value})
    assert str(raised.value) == message


def test_variables_of_other_commands_are_left_alone():
    assert resolve(Run, base=Run("x"), environ={"SIGHTLINE_TRACEBACK": "1", "SIGHTLINE_BEAM": "4"}) == Run("x")


def test_a_field_of_several_classes_decodes_to_the_class_of_its_base():
    @dataclass(frozen=True)
    class Either:
        part: Any = Model()

    assert decode(Either, {"part": {"heads": 4}}) == Either(Model(heads=4))
    assert override(Either(Optim()), {"part.lr": "2"}) == Either(Optim(lr=2.0))


finite = st.floats(allow_nan=False, allow_infinity=False)
models = st.builds(lambda heads, times: Model(heads * times, heads), st.integers(1, 9), st.integers(1, 9))
text = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]))
optims = st.builds(
    Optim,
    lr=st.floats(min_value=0, exclude_min=True, max_value=1e300),
    schedule=st.sampled_from(["cosine", "linear", "constant"]),
    clip_norm=st.none() | finite,
    betas=st.tuples(finite, finite),
)
runs = st.builds(
    Run,
    name=text
    | st.sampled_from(["no", "1e-3", "null", "~", "", "1:30", "0x1f", "true", "- a", "a: b", "#", ".inf", "=", "<<"]),
    seed=st.integers(),
    shuffle=st.booleans(),
    limit=st.none() | st.integers(),
    out=st.sampled_from([Path("runs"), Path("/a b/ü"), Path("1"), Path(".")]),
    archs=st.lists(text).map(tuple),
    weights=st.dictionaries(text, finite),
    layers=st.lists(st.integers()),
    budget=st.integers() | text,
    optim=optims,
    model=models,
    early=st.none() | models,
)


@pytest.mark.slow
@given(runs)
def test_encode_then_decode_is_the_identity(run):
    assert decode(Run, encode(run)) == run


@pytest.mark.slow
@given(runs)
def test_a_written_file_reads_back_to_the_same_run(run):
    assert decode(Run, parse_yaml(to_yaml(run))) == run


@pytest.mark.slow
@given(runs, runs)
def test_an_override_by_everything_is_the_other_one(run, other):
    flat = {f"optim.{key}": value for key, value in encode(other.optim).items()}
    flat |= {f"model.{key}": value for key, value in encode(other.model).items()}
    flat |= {key: value for key, value in encode(other).items() if key not in ("optim", "model", "early")}
    assert override(run, flat) == Run(**{**vars(other), "early": run.early})


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | finite | text,
        lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    )
)
def test_anything_in_place_of_a_section_is_refused_in_one_line_of_printable_text(value):
    try:
        decode(Run, {"name": "x", "optim": value, "early": value})
    except InputError as error:
        message = str(error)
    else:
        message = ""
        assert value is None or value == {}
    assert message.isprintable()


def test_text_that_is_a_number_is_read_as_one():
    assert math.isfinite(decode(Optim, {"lr": "1e-3"}).lr)
