"""C2, C3, C4, C5 and the times of C11: outcomes follow from planted times."""

from __future__ import annotations

import numpy as np
import pytest

from sightline.lab.claims import both_sides, exponents, thousand_tokens, transformer_lstm
from sightline.lab.claims.results import ClaimNumber
from sightline.lab.claims.times import TimedCall, lower_end, paired_ratio, upper_end
from sightline.lab.growth import Timing
from sightline.lab.mechanism import find_mechanisms
from sightline.lab.panel_results import Growth, PhaseCost


def ratio(value, spread=0.05):
    return ClaimNumber("x", value, value - spread, value + spread)


def test_a_ratio_of_a_call_and_itself_is_about_one_and_has_an_interval():
    (mechanism,) = find_mechanisms(["gru"], 8)
    call = TimedCall(mechanism, "training", 16)
    found = paired_ratio("same", call, call, Timing(rounds=9))
    assert found.n == 9
    assert found.low < found.value < found.high
    assert 0.2 < found.value < 5


def test_an_encoder_cannot_decode():
    (mechanism,) = find_mechanisms(["bidirectional"], 8)
    call = TimedCall(mechanism, "decode", 16)
    with pytest.raises(ValueError, match="decode of bidirectional: an encoder has no state"):
        paired_ratio("x", call, call, Timing())


def test_ends_of_a_number_without_interval_are_the_number():
    assert (lower_end(ClaimNumber("x", 2.0)), upper_end(ClaimNumber("x", 2.0))) == (2.0, 2.0)
    assert np.isnan(lower_end(ClaimNumber("x", None)))


def thousand(**values):
    given = {"rnn": 100.0, "lstm": 100.0, "gru": 100.0, "softmax": 1.0, **values}
    return {
        (name, phase, device): ratio(value)
        for name, value in given.items()
        for phase in ("forward", "training")
        for device in ("cpu", "cuda")
    }


def test_a_thousand_tokens_in_the_time_of_one():
    assert thousand_tokens.judge(thousand(rnn=1.9, lstm=1.2, gru=1.0))[0] == "holds"
    assert thousand_tokens.judge(thousand())[0] == "does not hold"
    assert thousand_tokens.judge(thousand(rnn=1.97))[0] == "depends"  # its interval reaches beyond two
    outcome, text = thousand_tokens.judge({**thousand(), ("gru", "forward", "cuda"): ratio(1.5)})
    assert outcome == "depends"
    assert "on the GPU" in text.replace("On", "on")


def test_a_fraction_of_the_time_of_an_lstm():
    keys = [(phase, batch, "cpu") for phase in ("forward", "training") for batch in (1, 16)]
    assert transformer_lstm.judge({key: ratio(0.4) for key in keys})[0] == "holds"
    assert transformer_lstm.judge({key: ratio(0.6) for key in keys})[0] == "does not hold"
    assert transformer_lstm.judge({key: ratio(0.47) for key in keys})[0] == "depends"
    outcome, text = transformer_lstm.judge({key: ratio(0.4 if key[1] == 16 else 0.9) for key in keys})
    assert outcome == "depends"
    assert "in 2 of 4 of these" in text


def growth(exponent, half=0.1):
    return Growth(exponent, exponent - half, exponent + half, [1, 2, 4], True)


def cost(name, time, memory, phase="training", last=1.0):
    return PhaseCost(name, phase, [256, 512], [[1.0], [last]], [1, 1], growth(time), growth(memory))


def quadratic(**changed):
    rows = {"softmax+weights": (1.9, 2.0), "softmax": (1.8, 2.0), **dict.fromkeys(("rnn", "lstm", "gru"), (1.0, 1.0))}
    rows |= {name.replace("__", "+"): value for name, value in changed.items()}
    return {"cpu": [cost(name, *value) for name, value in rows.items()]}


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({}, "holds"),
        ({"softmax": (1.8, 1.0)}, "depends"),
        ({"softmax": (1.0, 1.0), "softmax__weights": (1.0, 2.0)}, "does not hold"),
        (dict.fromkeys(("rnn", "lstm", "gru"), (2.0, 1.0)), "does not hold"),
        ({"softmax": (1.55, 2.0)}, "depends"),
    ],
    ids=["as said", "fused memory is linear", "no time is quadratic", "recurrences are not linear", "open"],
)
def test_quadratic_in_time_and_memory(changed, outcome):
    assert exponents.judge_quadratic(quadratic(**changed))[0] == outcome


def test_an_exponent_is_the_whole_number_that_its_interval_is_nearest_to():
    found = [exponents.whole(growth(value)) for value in (0.0, 1.0, 1.9, 2.7, 0.55, 1.45)]
    assert found == [0, 1, 2, 2, None, None]
    assert exponents.whole(None) is None


def test_memory_that_is_quadratic_only_where_formed_is_named():
    assert "only where the weights are formed" in exponents.judge_quadratic(quadratic(softmax=(1.8, 1.0)))[1]


def light(exponent=1.0, training=0.5, decode=0.5, **odd):
    rows = [cost("softmax", 1.9, 1.0), cost("softmax", 1.0, 1.0, "decode")]
    for name in exponents.LIGHT:
        rows.append(cost(name, odd.get(name, exponent), 1.0, last=training))
        rows.append(cost(name, 0.0, 0.0, "decode", decode))
    return {"cpu": rows}


def test_the_quadratic_limit_is_lifted():
    assert exponents.judge_light(light())[0] == "holds"
    assert exponents.judge_light(light(training=2.0))[0] == "depends"
    assert exponents.judge_light(light(decode=2.0))[0] == "depends"
    assert exponents.judge_light(light(window=1.9))[0] == "depends"
    assert exponents.judge_light(light(exponent=1.9))[0] == "does not hold"


def sides(one_right=0.06, both_right=1.0, one_left=1.0):
    one = {"right": np.array([one_right] * 2), "left": np.array([one_left] * 2)}
    return both_sides.SidesAccuracy(one, {"right": np.array([both_right] * 2), "left": np.array([1.0] * 2)})


def test_double_computation_and_both_sides():
    twice = {"time, forward": ratio(2.1), "time, training": ratio(1.9)}
    assert both_sides.judge(twice, 2.0, sides())[0] == "holds"
    assert both_sides.judge({**twice, "time, forward": ratio(2.48)}, 2.0, sides())[0] == "depends"
    assert both_sides.judge(twice, 3.0, sides())[0] == "depends"
    assert both_sides.judge(twice, 2.0, sides(one_right=0.5))[0] == "does not hold"
    assert both_sides.judge(twice, 2.0, sides(both_right=0.5))[0] == "does not hold"
    assert both_sides.judge(twice, 2.0, sides(one_left=0.5))[0] == "does not hold"
