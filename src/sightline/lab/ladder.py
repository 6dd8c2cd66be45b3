"""The rungs of the ladder: the lineage of mechanisms from recurrence to attention, one change at a time.

A ladder is a comparison with an order and reasons. Its architectures are the rungs of a task's form; each differs from
the one before it in one thing, and has the reason why that change was made, with the paper, and the claims by which the
reason is tested. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, final

from sightline.core.digits import and_joined
from sightline.core.errors import InputError

ClaimKind = Literal["better", "kept", "faster", "shorter chain", "faster at length", "smaller state"]
ItemSet = Literal["all", "longest"]
STATISTICAL: tuple[ClaimKind, ...] = ("better", "kept", "faster", "faster at length")  # the others are counted

# Keys that may differ on every rung without being its change: the width follows from the equal size, the learning rate
# is where the search begins.
FREE = ("model.d_model", "optim.lr")

_SEEDS = (
    "seeds are added until one architecture is decided against all others, and a ladder compares each rung with the "
    "one before it: take more --seeds"
)
# Keys of a comparison that mean nothing here, and why.
UNMEANT = {
    "archs": "its architectures are the rungs",
    "prefer": "it judges reasons and recommends nothing",
    "sizes": "all its rungs have the same size, see --match",
    "until_decided": _SEEDS,
    "max_seeds": _SEEDS,
}


@final
@dataclass(frozen=True)
class RungClaim:
    """One part of a reason that can be measured.

    kind: "better" and "kept" compare quality; "faster" training tokens per second of the processor; "shorter chain",
        "faster at length" and "smaller state" the layers alone, at a length that is the same for all rungs
    items: the test items; "longest": the quarter with the longest sources, where items have a length
    of, over: the rungs that are compared; "" = the rung itself, and the one that it is compared with
    """

    kind: ClaimKind
    items: ItemSet = "all"
    of: str = ""
    over: str = ""


@final
@dataclass(frozen=True)
class Rung:
    """One architecture of the ladder, and its difference from the one before it.

    settings: its preset, "arch", and the keys of the task's configuration that differ from that
    over: the rung that it is compared with; "" for the first
    change: what is different, in words; keys: the keys that differ from the other rung's, "model" = all of the model's
    reason: why the change was made, in one sentence; paper: who said so
    claims: all must hold for the reason to hold
    note: what is different here from the paper
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    over: str = ""
    change: str = ""
    keys: tuple[str, ...] = ()
    reason: str = ""
    paper: str = ""
    claims: tuple[RungClaim, ...] = ()
    note: str = ""


@final
@dataclass(frozen=True)
class Lineage:
    """The rungs of a form of models, in order.

    omitted: rungs of the whole lineage that are missing, and why
    reference: the rung whose usual size all others are scaled to
    """

    rungs: tuple[Rung, ...]
    omitted: Mapping[str, str] = field(default_factory=dict)
    reference: str = "positions"

    def find(self, name: str) -> Rung:
        """The rung of that name."""
        return next(rung for rung in self.rungs if rung.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all rungs."""
        return tuple(rung.name for rung in self.rungs)

    @property
    def variants(self) -> dict[str, dict[str, Any]]:
        """The rungs as a comparison takes them, see `CompareConfig`."""
        return {rung.name: dict(rung.settings) for rung in self.rungs}

    def with_plugins(self, mechanisms: Mapping[str, Sequence[str]]) -> Lineage:
        """This ladder with a last rung for each mechanism of the plugins, by the name of the plugin.

        Raises:
            InputError: "--plugin: the ladder has a rung 'heads' already: choose another name for the mechanism".
        """
        base, rungs, omitted = self.find(self.reference), list(self.rungs), dict(self.omitted)
        for plugin, names in mechanisms.items():
            if not names:
                omitted[plugin] = "the plugin has no mechanism that can replace attention"
            for name in names:
                if name in self.names:
                    taken = f"the ladder has a rung {name!r} already: choose another name for the mechanism"
                    raise InputError(taken, where="--plugin")
                rungs.append(_own_rung(name, plugin, base))
        return replace(self, rungs=tuple(rungs), omitted=omitted)

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse keys that the rungs set themselves, by which they would become equal.

        Raises:
            InputError: "--model.heads: the rungs of the ladder differ in it: leave it out".
        """
        own = {key for rung in self.rungs for key in rung.settings}
        for key in settings:
            if key in own or any(one.startswith(f"{key}.") or key.startswith(f"{one}.") for one in own):
                raise InputError("the rungs of the ladder differ in it: leave it out", where=f"--{key}")


def _own_rung(name: str, plugin: str, base: Rung) -> Rung:
    """The rung of a plugin's mechanism, which replaces the attention of `base`."""
    change = f"{name} in place of softmax attention"
    settings = {**base.settings, "model.mixers": [name]}
    return Rung(name, name, settings, base.name, change, ("model.mixers",), _OWN, f"the plugin {plugin}", AT_LENGTH)


def check_meant(keys: Iterable[str]) -> None:
    """Refuse keys of a comparison that mean nothing for a ladder.

    Raises:
        InputError: "--archs: does not apply to a ladder: its architectures are the rungs".
    """
    for key in keys:
        if key in UNMEANT:
            raise InputError(f"does not apply to a ladder: {UNMEANT[key]}", where=f"--{key}")


def lineage(form: str, task: str) -> Lineage:
    """The ladder of the tasks whose models have this form.

    Raises:
        InputError: "--task: classification has no ladder: …".
    """
    if form not in LADDERS:
        raise InputError(f"{task} has no ladder, whose models are of the form {form!r}", where="--task")
    return LADDERS[form]


BETTER, KEPT = RungClaim("better"), RungClaim("kept")
BETTER_ON_LONG = RungClaim("better", "longest")
AT_LENGTH = (RungClaim("faster at length"), RungClaim("smaller state"), KEPT)

_RNN = "A network that reads in order and carries a state from step to step can use what came before."
_LSTM = (
    "Gradients through a plain recurrence vanish; a cell that is added to keeps them over long stretches, so that long "
    "sequences are learnt better."
)
_GRU = "Two gates do what the LSTM does with three and a cell, at the same quality, and are simpler to compute."
_BLOCKS = (
    "Residual connections, normalisation and feed-forward layers let more computation be trained at each position, "
    "whatever mixes the positions."
)
_SELF = (
    "Recurrence works one step after the other; attention connects all positions in a number of steps that does not "
    "grow with the length, trains faster, and needs no recurrence for quality."
)
_HEADS = "One head averages over all that it attends to; several look at different positions and features at once."
_POSITIONS = "Attention alone sees a set: without positions it cannot tell one order from another."
_CAUSAL_POSITIONS = (
    "Attention alone sees a set; in a causal model the number of visible positions gives the order away in part "
    "(Haviv et al. 2022), and positions say the rest."
)
_WINDOW = "Dense attention costs n² time and a cache of n positions; most of what matters is near."
_LINEAR = (
    "Feature maps instead of the exponential turn attention into a recurrence with a state of fixed size: linear time "
    "at the same quality."
)

_OWN = "A mechanism of your own is worth it where it works at long inputs in less time and memory, at the same quality."

ELMAN = "Elman 1990, Finding structure in time"
HOCHREITER = "Hochreiter & Schmidhuber 1997, Long short-term memory"
CHO = "Cho et al. 2014, arXiv:1406.1078"
BAHDANAU = "Bahdanau, Cho & Bengio 2015, arXiv:1409.0473"
HE = "He et al. 2016, arXiv:1512.03385; Vaswani et al. 2017, arXiv:1706.03762, § 3.1"
VASWANI = "Vaswani et al. 2017, arXiv:1706.03762"
CHILD = "Child et al. 2019, arXiv:1904.10509; Beltagy et al. 2020, arXiv:2004.05150"
KATHAROPOULOS = "Katharopoulos et al. 2020, arXiv:2006.16236"

# A quality that positions are needed for is compared where there are positions.
SELF_CLAIMS = (RungClaim("shorter chain"), RungClaim("faster"), RungClaim("kept", of="positions"))
SELF_NOTE = (
    "Here one head without positions; whether quality needs no recurrence is judged where heads and positions are "
    "added, two rungs on."
)


def _late_rungs(base: Mapping[str, Any], before: str, window: int, *, causal: bool) -> tuple[Rung, ...]:
    """The rungs of attention, from one head on, as layers of the preset `base`, after the rung `before`."""

    def rung(name: str, title: str, over: str, changes: Mapping[str, Any], inherited: Mapping[str, Any], **rest: Any):
        return Rung(name, title, {**inherited, **changes}, over, keys=tuple(changes), **rest)

    one = rung(
        "self-attention", "self-attention", before, {"model.mixers": ["softmax"]}, base,
        change="self-attention instead of the recurrence",
        reason=_SELF, paper=VASWANI, claims=SELF_CLAIMS, note=SELF_NOTE,
    )  # fmt: skip
    heads = rung(
        "heads", "several heads", "self-attention", {"model.heads": 4}, one.settings,
        change="4 heads instead of one, at the same size",
        reason=_HEADS, paper=f"{VASWANI}, § 3.2.2", claims=(BETTER,),
    )  # fmt: skip
    positions = rung(
        "positions", "+ positions", "heads", {"model.input_positions": "sinusoidal"}, heads.settings,
        change="sinusoids of the position are added to the input",
        reason=_CAUSAL_POSITIONS if causal else _POSITIONS, paper=f"{VASWANI}, § 3.5", claims=(BETTER,),
    )  # fmt: skip
    sparse = rung(
        "window", "sparse (window)", "positions",
        {"model.mixers": ["window"], "model.options": {"window": {"window": window}}}, positions.settings,
        change=f"each position attends to itself and the {window - 1} {'before it' if causal else 'on either side'}",
        reason=_WINDOW, paper=CHILD, claims=AT_LENGTH,
    )  # fmt: skip
    linear = rung(
        "linear", "linear", "positions", {"model.mixers": ["linear"]}, positions.settings,
        change="linear attention instead of softmax attention",
        reason=_LINEAR, paper=KATHAROPOULOS, claims=AT_LENGTH,
    )  # fmt: skip
    return one, heads, positions, sparse, linear


def _cells(preset: Mapping[str, Mapping[str, Any]], keys: tuple[str, ...]) -> tuple[Rung, ...]:
    """The three recurrences, by the settings of each."""
    return (
        Rung("rnn", "RNN", preset["rnn"], reason=_RNN, paper=ELMAN),
        Rung("lstm", "LSTM", preset["lstm"], "rnn", "LSTM cells instead of plain ones", keys, _LSTM, HOCHREITER,
             (BETTER_ON_LONG,)),
        Rung("gru", "GRU", preset["gru"], "lstm", "GRU cells instead of LSTM cells", keys, _GRU, CHO,
             (KEPT, RungClaim("faster"))),
    )  # fmt: skip


def _encoder_decoder() -> Lineage:
    # Read in both directions from the start, so that attention changes only how the decoder reads the source.
    same = {"model.bidirectional": True, "model.context": "every_step", "model.reverse_source": False}
    cells = {name: {"arch": name, **same} for name in ("rnn", "lstm", "gru")}
    layers = {"arch": "hybrid", "model.mixers": ["gru"], "model.layers": 2, "model.heads": 1, "model.positions": "none"}
    rungs = (
        *_cells(cells, ("arch", "model.cell")),
        Rung(
            "attention", "+ attention", {"arch": "bahdanau"}, "gru",
            "the decoder attends to all positions of the source instead of one vector", ("arch", "model"),
            "A vector of fixed size cannot hold a long source; a decoder that looks back at it keeps its quality.",
            BAHDANAU, (BETTER_ON_LONG,), "The encoder is the same on both rungs: a GRU in each direction.",
        ),
        Rung(
            "layers", "residual layers", layers, "attention",
            "two residual layers of the GRU, of attention to the source and of feed-forward networks",
            ("arch", "model"), _BLOCKS, HE, (BETTER,),
        ),
        *_late_rungs(layers, "layers", 8, causal=False),
    )  # fmt: skip
    return Lineage(rungs)


def _encoder() -> Lineage:
    # The preset of Jain & Wallace 2019 has an optimizer of its own; here all rungs have the usual one.
    usual = {"optim.weight_decay": 0.01, "optim.schedule": "cosine", "optim.warmup_steps": None, "optim.clip_norm": 1.0}
    same = {"arch": "bilstm_attention", "model.pooling": "last", "model.dropout": 0.1, **usual}
    cells = {name: {**same, "model.mixer": name} for name in ("rnn", "lstm", "gru")}
    layers = {
        "arch": "hybrid", "model.mixers": ["gru"], "model.layers": 2, "model.heads": 1, "model.positions": "none",
        "model.pooling": "additive",
    }  # fmt: skip
    rungs = (
        *_cells(cells, ("model.mixer",)),
        Rung(
            "attention", "+ attention", {**cells["gru"], "model.pooling": "additive"}, "gru",
            "the label is read from all states, weighted by attention, instead of the last one", ("model.pooling",),
            "The last state forgets what came early; attention weighs every position, so that long items are "
            "classified better.",
            f"Yang et al. 2016, Hierarchical attention networks; {BAHDANAU}", (BETTER_ON_LONG,),
        ),
        Rung(
            "layers", "residual layers", layers, "attention",
            "two residual layers of the GRU and of feed-forward networks", ("arch", "model"), _BLOCKS, HE, (BETTER,),
        ),
        *_late_rungs(layers, "layers", 16, causal=False),
    )  # fmt: skip
    return Lineage(rungs)


def _decoder() -> Lineage:
    cells = {name: {"arch": name} for name in ("rnn", "lstm", "gru")}
    layers = {"arch": "hybrid", "model.mixers": ["gru"], "model.layers": 4, "model.heads": 1, "model.positions": "none"}
    beside = {**layers, "model.mixers": ["gru", "softmax"]}
    rungs = (
        *_cells(cells, ("arch", "model.cell")),
        Rung(
            "layers", "residual layers", layers, "gru", "four residual layers of the GRU and of feed-forward networks",
            ("arch", "model"), _BLOCKS, HE, (BETTER,),
        ),
        Rung(
            "attention", "+ attention", beside, "layers",
            "every second recurrence becomes attention to all earlier positions", ("model.mixers",),
            "One state of fixed size must hold all that was read; attention looks back at every earlier position.",
            f"Cheng, Dong & Lapata 2016, arXiv:1601.06733; after {BAHDANAU}", (BETTER,),
            "A language model has no source to attend to; it attends to its own past.",
        ),
        *_late_rungs(beside, "attention", 32, causal=True),
    )  # fmt: skip
    return Lineage(rungs)


def _forecaster() -> Lineage:
    layers = {
        "arch": "hybrid", "model.layers": 2, "model.heads": 1, "model.positions": "none",
        "model.decoding": "autoregressive",
    }  # fmt: skip
    cells = {name: {**layers, "model.mixers": [name]} for name in ("rnn", "lstm", "gru")}
    beside = {**layers, "model.mixers": ["gru", "softmax"]}
    rungs = (
        *_cells(cells, ("model.mixers",)),
        Rung(
            "attention", "+ attention", beside, "gru",
            "the second recurrence becomes attention to all earlier patches", ("model.mixers",),
            "One state of fixed size must hold the whole look-back; attention looks back at every earlier patch.",
            f"Qin et al. 2017, arXiv:1704.02971; after {BAHDANAU}", (BETTER,),
            "A forecaster has no source to attend to; it attends to its own past.",
        ),
        *_late_rungs(beside, "attention", 4, causal=True),
    )  # fmt: skip
    omitted = {"residual layers": "all rungs have them: sightline has no forecaster of bare recurrent layers"}
    return Lineage(rungs, omitted)


# By the form of a task's models, see `sightline.models.FORMS`.
LADDERS: Mapping[str, Lineage] = {
    "encoder-decoder": _encoder_decoder(),
    "encoder": _encoder(),
    "decoder": _decoder(),
    "forecaster": _forecaster(),
}


def described(keys: Sequence[str]) -> str:
    """The keys that differ, in words: "arch and all of model"."""
    return and_joined(["all of model" if key == "model" else key for key in keys])
