"""The table of the ladder: every rung of every task changes what it says, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import pytest

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.lab.job_runs import run_config
from sightline.lab.ladder import FREE, LADDERS, ClaimKind, Lineage, described, lineage
from sightline.lab.ladder_run import planned
from sightline.lab.plan import CompareConfig
from sightline.models import FORMS
from sightline.models.plugins import load_plugin
from sightline.parts.token_embedding import Tokens
from sightline.tasks.table import TASKS
from tests.plugins import ECHO, forgotten

RUNGS = [(task, rung.name) for task, kind in TASKS.items() for rung in LADDERS[kind.form].rungs if rung.over]
SOURCE: FrontEndConfig = Tokens(11)


def _ladder(task: str) -> Lineage:
    return lineage(TASKS[task].form, task)


def _resolved(task: str, name: str) -> Any:
    ladder = _ladder(task)
    return run_config(CompareConfig(task, "x", ladder.names, variants=ladder.variants), name)


def changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """The keys in which two configurations differ, those that every rung may change left out; options of a mechanism
    are one key, and so is the whole model where the two are models of different kinds.
    """
    flat = [{".".join(key.split(".")[:2]): None for key in one if key.startswith("model.")} for one in (before, after)]
    names = {key for key in {**before, **after} if before.get(key) != after.get(key) and key not in FREE}
    names = {".".join(key.split(".")[:2]) for key in names}
    if {*flat[0]} - {"model.options"} != {*flat[1]} - {"model.options"}:
        return {key for key in names if not key.startswith("model.")} | {"model"}
    return names


@pytest.mark.parametrize(("task", "name"), RUNGS)
def test_a_rung_differs_from_the_one_before_in_exactly_the_keys_that_it_states(task: str, name: str) -> None:
    rung = _ladder(task).find(name)
    before, after = _resolved(task, rung.over).dotted(), _resolved(task, name).dotted()
    assert changed_keys(before, after) == set(rung.keys)


@pytest.mark.parametrize("task", TASKS)
def test_a_mechanism_of_a_plugin_is_one_more_rung_that_differs_in_the_mechanism(task: str, tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(ECHO, encoding="utf-8")
    with forgotten(tmp_path):
        load_plugin(tmp_path / "echo.py")
        ladder = _ladder(task).with_plugins({"echo": ["echo"]})
        *before, own = ladder.rungs
        assert before == list(_ladder(task).rungs)
        config = CompareConfig(task, "x", ladder.names, variants=ladder.variants)
        models = [run_config(config, name).dotted() for name in (own.over, own.name)]
        assert changed_keys(*models) == set(own.keys) == {"model.mixers"}
        assert models[1]["model.mixers"] == ["echo"]
        assert own.claims == ladder.find("linear").claims


def test_a_plugin_without_such_a_mechanism_has_no_rung_and_names_are_taken_once() -> None:
    ladder = _ladder("translation")
    with_bag = ladder.with_plugins({"bag": []})
    assert with_bag.rungs == ladder.rungs
    assert "no mechanism" in with_bag.omitted["bag"]
    with pytest.raises(InputError, match="--plugin: the ladder has a rung 'heads' already"):
        ladder.with_plugins({"mine": ["echo", "heads"]})


def test_a_second_change_would_be_seen() -> None:
    before, after = _resolved("translation", "heads"), _resolved("translation", "positions")
    for key, value in (("label_smoothing", 0.1), ("optim.beta2", 0.9), ("model.dropout", 0.3)):
        more = {**after.dotted(), key: value}
        assert changed_keys(before.dotted(), more) == {"model.input_positions", key}


@pytest.mark.parametrize("form", LADDERS)
def test_the_lineage_is_whole_in_order_and_has_its_reasons(form: str) -> None:
    ladder = LADDERS[form]
    lines = ["rnn", "lstm", "gru", "self-attention", "heads", "positions", "window", "linear"]
    assert [name for name in ladder.names if name in lines] == lines
    assert {"attention", "layers"} - set(ladder.names) == ({"layers"} if ladder.omitted else set())
    for place, rung in enumerate(ladder.rungs):
        assert rung.over in ladder.names[:place] or (place == 0 and not rung.over)
        assert rung.reason.endswith(".")
        assert any(character.isdigit() for character in rung.paper)
        assert bool(rung.claims) == bool(rung.over) == bool(rung.change)
        named = [*chain.from_iterable((claim.of, claim.over) for claim in rung.claims)]
        assert {name for name in named if name} <= set(ladder.names)
    assert ladder.reference in ladder.names


def test_every_form_of_models_has_a_ladder_and_every_claim_is_made_somewhere() -> None:
    assert set(LADDERS) == set(FORMS)
    assert {claim.kind for one in LADDERS.values() for rung in one.rungs for claim in rung.claims} == {
        *get_args(ClaimKind)
    }
    with pytest.raises(InputError, match=r"--task: tea leaves has no ladder"):
        lineage("tea leaves", "tea leaves")


def _shapes(model: Any, part: str) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items() if name.startswith(part)}


def test_attention_to_the_source_changes_the_decoder_and_not_the_encoder() -> None:
    one, other = (
        _resolved("translation", name).settings.model.resized(16).build(SOURCE, 7) for name in ("gru", "attention")
    )
    assert _shapes(one, "encoder") == _shapes(other, "encoder") != {}
    assert _shapes(one, "decoder") != _shapes(other, "decoder")


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_a_decoder_without_attention_gets_one_vector_of_the_source(name: str) -> None:
    model = _resolved("translation", name).settings.model.resized(16).build(SOURCE, 7)
    assert model.encoder.d_summary == 16


@pytest.mark.parametrize("key", ["model.heads", "model.mixers", "model.options.window.window", "model.options"])
def test_a_key_in_which_the_rungs_differ_is_refused(key: str) -> None:
    with pytest.raises(InputError, match=f"--{key}: the rungs of the ladder differ in it: leave it out"):
        planned(CompareConfig(match="params=2M", settings={key: "1"}))


def test_other_keys_are_shared_and_other_sizes_refused() -> None:
    config, ladder = planned(CompareConfig(match="params=2M", settings={"model.dropout": "0.3"}))
    assert config.archs == ladder.names
    assert config.match == "params=2M"
    with pytest.raises(InputError, match="--match: a ladder is matched by params=2M alone, found 'flops=1M'"):
        planned(CompareConfig(match="flops=1M"))
    with pytest.raises(InputError, match="--match: variants are matched by params=2M alone, found 'state=1KB@9'"):
        CompareConfig(match="state=1KB@9", variants={"a": {}})


def test_keys_are_told_in_words() -> None:
    assert described(["model.heads"]) == "model.heads"
    assert described(["arch", "model"]) == "arch and all of model"
