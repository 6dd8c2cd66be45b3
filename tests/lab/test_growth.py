"""Memory by length as formulas say it, costs of every phase, and crossovers of curves that are known."""

from __future__ import annotations

import pytest
import torch

from sightline.core.errors import InputError
from sightline.core.processes import in_child
from sightline.lab import growth
from sightline.lab.bench.memory import peak_bytes
from sightline.lab.crossover import check_crossover, fit_time, predict
from sightline.lab.exponents import fit_exponent
from sightline.lab.growth import PHASES, Timing, measure_costs, peak_of, prepare
from sightline.lab.live_memory import LiveMemory
from sightline.lab.mechanism import Mechanism, find_mechanisms
from sightline.lab.panel_results import PhaseCost
from sightline.mixers.gru import GRUConfig

QUICK = Timing(rounds=3, shortest_s=0.0)


def test_live_memory_counts_what_is_alive_at_the_same_time():
    with LiveMemory() as memory:
        a = torch.zeros(1000)
        b = a + 1
        del a
        view = b.view(10, 100)
        assert (memory.live_bytes, memory.peak_bytes) == (4000, 8000)
        del b, view
    assert (memory.live_bytes, memory.peak_bytes) == (0, 8000)


def test_live_memory_counts_what_a_backward_pass_will_need():
    x = torch.ones(1000, requires_grad=True)
    with LiveMemory() as memory:
        y = x.exp().sin()  # the backward pass of sin needs exp(x)
        assert memory.live_bytes == 8000
        del y
        assert memory.live_bytes == 0


def system_peak() -> tuple[int, int]:
    def run():
        x = torch.ones(16_000_000)  # 64 MB: what is freed goes back to the system at once
        return [x.exp().add(1.0).sqrt()]

    counted = LiveMemory()
    with counted:
        run()
    return peak_bytes(run, torch.device("cpu")), counted.peak_bytes


@pytest.mark.slow
def test_live_memory_agrees_with_the_system():
    system, counted = in_child(system_peak)
    assert counted == 3 * 64_000_000  # the input, and two of the results
    assert system == pytest.approx(counted, rel=0.1)


def memory_exponent(mechanism: Mechanism, phase, lengths):
    peaks = [peak_of(prepare(mechanism, phase, n)) for n in lengths]
    return fit_exponent(lengths, [[float(peak)] for peak in peaks]).exponent


LENGTHS = (128, 256, 512, 1024)


@pytest.mark.parametrize(
    ("name", "longest", "exponent"),
    [
        ("softmax+weights", 1024, 2.0),
        ("softmax", 4096, 1.0),
        ("window", 4096, 1.0),
        pytest.param("linear", 65536, 1.0, marks=pytest.mark.slow),
    ],
)
def test_memory_of_training_grows_as_the_formulas_say(name, longest, exponent):
    """n² for weights that are formed; n for fused attention (Rabe & Staats 2021), windows and linear attention.

    At shorter lengths the kernels choose other sizes of their pieces.
    """
    (mechanism,) = find_mechanisms([name], 16)
    lengths = (longest // 4, longest // 2, longest)
    assert memory_exponent(mechanism, "training", lengths) == pytest.approx(exponent, abs=0.1)


@pytest.mark.slow
def test_memory_of_a_recurrence_grows_linearly():
    (mechanism,) = find_mechanisms(["gru"], 16)
    assert memory_exponent(mechanism, "training", LENGTHS) == pytest.approx(1.0, abs=0.1)


def test_the_state_of_attention_grows_and_that_of_a_recurrence_does_not():
    for name, exponent in (("softmax", 1.0), ("lstm", 0.0), ("linear", 0.0)):
        (mechanism,) = find_mechanisms([name], 16)
        assert memory_exponent(mechanism, "decode", LENGTHS) == pytest.approx(exponent, abs=0.02)


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_has_times_and_memory(phase):
    costs = measure_costs(find_mechanisms(["gru", "bidirectional"], 8), (4, 8, 16), QUICK, [phase])
    assert [cost.name for cost in costs] == (["gru"] if phase in ("prefill", "decode") else ["gru", "bidirectional"])
    for cost in costs:
        assert cost.lengths == [4, 8, 16]
        assert [len(rounds) for rounds in cost.seconds] == [3, 3, 3]
        assert min(map(min, cost.seconds)) > 0
        assert min(cost.peak_bytes) > 0


def test_a_slow_mechanism_stops_at_a_shorter_length(monkeypatch):
    """A call takes a millisecond for every position, and none may take longer than 20 ms."""
    prepared = []

    def prepare_one(mechanism, phase, length, batch, device):
        prepared.append(length)
        return growth.PreparedPhase(lambda: torch.zeros(length).sum())

    monkeypatch.setattr(growth, "prepare", prepare_one)
    monkeypatch.setattr(growth, "call_seconds", lambda run, device, repeats=1: 1e-3 * prepared[-1])
    (cost,) = measure_costs(find_mechanisms(["gru"], 8), (4, 8, 16, 32), Timing(rounds=2, longest_s=0.02), ["forward"])
    assert cost.lengths == [4, 8]  # at 16, 32 ms if the time grew quadratically


def test_decoding_continues_from_the_step_before():
    (mechanism,) = find_mechanisms(["softmax"], 8)
    call = prepare(mechanism, "decode", 4)
    first, second = call.run(), call.run()
    assert not torch.equal(first, second)
    assert call.state_bytes == 4 * 8 * 2 * 4 + 8  # keys and values of 4 positions in float32, and the position


def test_weights_that_a_mechanism_does_not_have_are_refused():
    with pytest.raises(InputError, match=r"--mixers: lstm has no attention weights to form: remove \+weights"):
        find_mechanisms(["lstm+weights"], 8)
    with pytest.raises(InputError, match="unknown mechanism 'softmx', did you mean 'softmax'"):
        find_mechanisms(["softmx"], 8)


def test_a_table_may_have_configs_with_options_of_their_own():
    (mechanism,) = find_mechanisms(["mine"], 8, {"mine": GRUConfig(d_hidden=3)})
    assert mechanism.build().d_out == 3


def cost(name, time, lengths=(64, 128, 256, 512)):
    rounds = [[time(n)] * 3 for n in lengths]
    fitted = fit_exponent(lengths, rounds)
    return PhaseCost(name, "training", list(lengths), rounds, [1] * len(lengths), fitted, fitted)


def dense(n):
    return 1e-4 + 1e-6 * n + 4e-9 * n**2


def linear(n):
    return 3e-4 + 3e-6 * n


def test_the_terms_of_a_time_are_found():
    assert fit_time([64, 128, 256, 512], list(map(dense, (64, 128, 256, 512)))) == pytest.approx([1e-4, 1e-6, 4e-9])


def test_a_crossover_beyond_the_measured_lengths_is_predicted_and_checked():
    """4e-9 n² = 2e-4 + 2e-6 n at n = 250 (1 + √(1 + 0.8))."""
    crossing = 250 * (1 + 1.8**0.5)
    (prediction,) = predict([cost("softmax", dense), cost("linear", linear)])
    assert (prediction.cheaper, prediction.other) == ("linear", "softmax")
    assert prediction.length == pytest.approx(crossing, rel=1e-3)
    times = {"softmax": dense, "linear": linear}
    mechanisms = {mechanism.name: mechanism for mechanism in find_mechanisms(["softmax", "linear"], 8)}
    checked = check_crossover(
        prediction, mechanisms, lambda one, two, phase, n: times[one.name](n) / times[two.name](n)
    )
    assert not set(checked.checked) & set(checked.fitted)
    assert checked.measured == pytest.approx(crossing, rel=0.01)
    assert checked.error < 0.01


@pytest.mark.parametrize("off", [0.45, 2.5])
def test_a_wrong_prediction_is_shown_with_its_error(off):
    """The true crossing is at 1000; the prediction is `off` times that, and the check looks on until it is found."""
    prediction = predict([cost("softmax", dense), cost("linear", linear)])[0]._replace(length=1000 * off)
    mechanisms = {mechanism.name: mechanism for mechanism in find_mechanisms(["softmax", "linear"], 8)}
    checked = check_crossover(prediction, mechanisms, lambda one, two, phase, n: 1000 / n)
    assert checked.measured == pytest.approx(1000)
    assert checked.error == pytest.approx(abs(off - 1), rel=1e-3)


def test_a_crossing_that_is_not_found_is_said_to_be_missing():
    prediction = predict([cost("softmax", dense), cost("linear", linear)])[0]
    mechanisms = {mechanism.name: mechanism for mechanism in find_mechanisms(["softmax", "linear"], 8)}
    checked = check_crossover(prediction, mechanisms, lambda *_: 2.0)
    assert (checked.measured, checked.error) == (None, None)
    assert len(checked.checked) == 8


def test_times_that_no_fit_describes_have_no_prediction():
    jumping = cost("linear", lambda n: 3e-3 if n == 128 else linear(n))
    assert predict([cost("softmax", dense), jumping]) == []


def test_curves_that_do_not_cross_have_no_prediction():
    assert predict([cost("a", dense), cost("b", lambda n: 2 * dense(n))]) == []
