"""Relevance by layer-wise propagation with the attention rules of AttnLRP, for Transformers of the package's parts.

Achtibat, Hatefi, Dreyer, Jain, Wiegand, Lapuschkin & Samek 2024 ("AttnLRP: Attention-aware layer-wise relevance
propagation for transformers", arXiv:2402.05602). Every rule is the gradient of a changed operation times its input, the
form of Arras et al. 2025 (arXiv:2502.15886), so that one backward pass propagates the relevance of one output:

- linear maps and sums: the ε-rule with ε = 0, the plain gradient; biases and added constants absorb their share
- activations: the identity rule, f(x) = x · (f(x) / x) with the quotient held constant
- products of two inputs, weights times values, queries times keys, gates: the uniform rule, half to each
- softmax: x_i (R_i - s_i Σ_j R_j), the plain gradient; it does not conserve relevance
- norms: the identity rule with mean and deviation held constant; the bias of a layer norm absorbs its share

Deviations: ε = 0; the subtraction of the mean in a layer norm is a linear map, which conserves the same sum; the
weights of a pooling by attention are held constant, which conserves relevance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.errors import InputError
from sightline.core.modes import evaluating
from sightline.core.probe import Probe
from sightline.inspect.record import POOLED, replaced_outputs
from sightline.parts.attention_heads import AttentionHeads
from sightline.parts.feed_forward import FeedForward
from sightline.parts.pooling import ClassToken
from sightline.parts.positions import AddPositions, AttentionPositions

RuledAttention = Literal["attnlrp", "constant"]
RULED = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.RMSNorm, ClassToken, AddPositions)  # modules with parameters


class Relevances(NamedTuple):
    """The relevance of T outputs.

    inputs: of each kind of vectors by its name, (T, S); outputs: the numbers whose relevance it is, (T,)
    absorbed: what does not reach the inputs, (T,) by what absorbs it: biases, positions, a class token, softmax.
        inputs and absorbed together sum to the outputs
    """

    inputs: dict[str, Tensor]
    outputs: Tensor
    absorbed: dict[str, Tensor]

    @property
    def gap(self) -> Tensor:
        """|outputs - inputs - absorbed| (T,): 0 but for rounding where every operation has a rule."""
        reached = torch.stack([part.sum(1) for part in self.inputs.values()]).sum(0)
        return (self.outputs - reached - torch.stack(list(self.absorbed.values())).sum(0)).abs()


def check_rules(model: nn.Module, vectors: Mapping[str, nn.Module]) -> None:
    """Raise `InputError` where a part of the model has no rule; what gives the `vectors` needs none.

    Raises:
        InputError: "relevance has rules for Transformers of softmax attention, and none for LSTM (decoder.mixer)".
    """
    below = {part for module in vectors.values() for part in module.modules()}
    parents = {child: parent for parent in model.modules() for child in parent.children()}
    for path, module in model.named_modules():
        if module in below:
            continue
        owner = parents.get(module, module)
        without = (
            (any(True for _ in module.parameters(recurse=False)) and not isinstance(module, RULED))
            or (isinstance(module, Probe) and (module.implicit or getattr(owner, "softcap", None) is not None))
            or (isinstance(module, AttentionPositions) and module.added is not None)
        )
        if without:
            named = owner if isinstance(module, Probe | AttentionPositions) else module
            raise InputError(
                f"relevance has rules for Transformers of softmax attention, and none for {type(named).__name__} "
                f"({path})"
            )


def relevances(
    model: nn.Module,
    run: Callable[[], Tensor],
    vectors: Mapping[str, nn.Module],
    *,
    attention: RuledAttention = "attnlrp",
) -> Relevances:
    """The relevance of each of the T numbers that `run()` gives, while it calls the model on one row.

    vectors: the modules whose outputs (1, S, D) are the inputs, such as the front end, by any names
    attention: "constant" holds all attention weights constant (Ali et al. 2022, arXiv:2202.07304): relevance then flows
        through the values alone, and softmax absorbs nothing

    Dropout is off. Takes one backward pass for each number.

    Raises:
        InputError: what `check_rules` raises.
    """
    check_rules(model, vectors)
    with evaluating(model), torch.enable_grad(), _rules(model, vectors, attention) as ledger:
        outputs = run()
        nodes = [*ledger.inputs.values(), *(node for _, _, node in ledger.shares)]
        rows = []
        for output in outputs:
            slopes = torch.autograd.grad(output, nodes, retain_graph=True, allow_unused=True, materialize_grads=True)
            rows.append(dict(zip(map(id, nodes), slopes)))
    inputs = {
        name: torch.stack([(node * row[id(node)]).sum(2)[0] for row in rows]).detach()
        for name, node in ledger.inputs.items()
    }
    absorbed = {kind: torch.zeros_like(outputs) for kind in ("biases", "positions", "class token", "softmax")}
    for kind, value, node in ledger.shares:
        absorbed[kind] = absorbed[kind] + torch.stack([(value * row[id(node)]).sum() for row in rows])
    return Relevances(inputs, outputs.detach(), {kind: share.detach() for kind, share in absorbed.items()})


class _Ledger(NamedTuple):
    """Nodes of the graph whose slopes tell where relevance goes.

    inputs: the vectors by name; shares: (what absorbs it, value, node): the relevance value · ∂output/∂node is absorbed
    """

    inputs: dict[str, Tensor]
    shares: list[tuple[str, Tensor, Tensor]]


@contextmanager
def _rules(model: nn.Module, vectors: Mapping[str, nn.Module], attention: RuledAttention) -> Iterator[_Ledger]:
    """Inside the block every operation of the model follows its rule."""
    ledger = _Ledger({}, [])
    below = {part for module in vectors.values() for part in module.modules()}
    with ExitStack() as stack:
        for parameter in model.parameters():
            if not parameter.requires_grad:
                stack.callback(parameter.requires_grad_, False)
                parameter.requires_grad_()
        for name, module in vectors.items():
            stack.enter_context(replaced_outputs(module, _as_input(ledger, name)))
        for module in model.modules():
            if module in below:
                continue
            for handle in _handles(module, ledger, attention):
                stack.callback(handle.remove)
        yield ledger


def _as_input(ledger: _Ledger, name: str) -> Callable[[Tensor], Tensor]:
    def replace(x: Tensor) -> Tensor:
        ledger.inputs[name] = x.detach().requires_grad_()
        return ledger.inputs[name]

    return replace


def _handles(module: nn.Module, ledger: _Ledger, attention: RuledAttention) -> Iterator[Any]:
    """The hooks that make one module follow its rule, and note what it absorbs."""
    bias = getattr(module, "bias", None)
    if isinstance(module, nn.Linear | nn.LayerNorm) and isinstance(bias, Tensor):
        ledger.shares.append(("biases", bias.detach(), bias))
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        yield module.register_forward_hook(_norm, prepend=True)  # before half of its output's relevance is taken
    elif isinstance(module, FeedForward):
        yield module.register_forward_hook(_feed_forward)
    elif isinstance(module, ClassToken):
        ledger.shares.append(("class token", module.token.detach(), module.token))
    elif isinstance(module, AddPositions):
        yield module.register_forward_hook(_positions(ledger))
    elif isinstance(module, AttentionHeads):
        if attention == "attnlrp":
            yield module.value.register_forward_hook(_half(ledger, None))
            for norm, linear in ((module.query_norm, module.query), (module.key_norm, module.key)):
                yield (linear if norm is None else norm).register_forward_hook(_half(ledger, -1.0))
    elif isinstance(module, Probe):
        held = attention == "constant" or module.shape == POOLED
        yield module.register_forward_hook(
            (lambda _module, _inputs, output: output.detach()) if held else _half(ledger, 1.0)
        )


def _halved(x: Tensor) -> Tensor:
    """x with half of its gradient."""
    return 0.5 * x + (0.5 * x).detach()


def _half(ledger: _Ledger, sign: float | None) -> Callable[..., Tensor]:
    """The uniform rule; the relevance that enters softmax less that which leaves it is what softmax absorbs."""

    def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if sign is not None:
            ledger.shares.append(("softmax", sign * output.detach(), output))
        return _halved(output)

    return hook


def _positions(ledger: _Ledger) -> Callable[..., tuple[Tensor, Any]]:
    def hook(_module: nn.Module, inputs: tuple[Any, ...], result: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
        ledger.shares.append(("positions", (result[0] - inputs[0]).detach(), result[0]))
        return result

    return hook


def _norm(module: Any, inputs: tuple[Tensor, ...], _output: Tensor) -> Tensor:
    """The norm with its statistics held constant."""
    (x,) = inputs
    if isinstance(module, nn.LayerNorm):
        x = x - x.mean(-1, keepdim=True)
    eps = torch.finfo(x.dtype).eps if module.eps is None else module.eps
    x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps).detach()
    x = x if module.weight is None else x * module.weight
    return x if getattr(module, "bias", None) is None else x + module.bias


def _feed_forward(module: FeedForward, inputs: tuple[Tensor, ...], _output: Tensor) -> Tensor:
    """The network with quotients f(x) / x held constant, and half of the relevance to a gate."""
    x = module.widen(inputs[0])
    if module.activation == "swiglu":
        gate, x = x.chunk(2, -1)
        return module.narrow(_halved(gate * torch.sigmoid(gate).detach()) * _halved(x))
    if module.activation == "relu":
        return module.narrow(F.relu(x))  # its quotient is its slope
    share = 0.5 * (1.0 + torch.erf(x / 2.0**0.5))  # gelu(x) / x
    return module.narrow(x * share.detach())
