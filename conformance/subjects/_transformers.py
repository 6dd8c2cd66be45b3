"""Adapters of `transformers` models: tiny, random, and called as `generate` and the documentation call them.

Token ids, the attention mask of all positions so far, and the cache of the call before. Positions are given, as
`generate` gives them: counted from the first real token of each row. Weights are drawn with a standard deviation of
0.2, since the library's 0.02 would hide differences behind the residual stream. Models compute in float64; norms,
softmax and rotary angles are in float32 whatever the dtype, hence the tolerance.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import transformers
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, NotOffered, Offers

SIZE = 40
TOLERANCE = 1e-5
FLOAT32_TOLERANCE = 2e-4
SMALL: dict[str, Any] = {"vocab_size": SIZE, "hidden_size": 32, "num_hidden_layers": 2, "pad_token_id": 0}
HEADS: dict[str, Any] = {"num_attention_heads": 4, "intermediate_size": 48}
GROUPED: dict[str, Any] = {**HEADS, "num_key_value_heads": 2}
CACHED = Offers("tokens", SIZE, first=3, state="in place", mask=("left",), tolerance=TOLERANCE)
UNMASKED = Offers("tokens", SIZE, first=3, state="in place", tolerance=TOLERANCE)
FLOAT32 = Offers("tokens", SIZE, first=3, state="in place", mask=("left",), tolerance=FLOAT32_TOLERANCE)


class TransformersAdapter(Adapter):
    """A model of `transformers` from its configuration class and options.

    attention: `attn_implementation`, None for the model's own default; experts: `experts_implementation`, of which
        "eager" alone computes in float64; dtype: what the model computes in
    """

    package = "transformers"
    config: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    common: ClassVar[dict[str, Any]] = SMALL
    attention: ClassVar[str | None] = None
    experts: ClassVar[str] = "eager"
    dtype: ClassVar[torch.dtype] = torch.float64

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        config = getattr(transformers, self.config)(**{**self.common, **self.options})
        config._experts_implementation = self.experts
        how = {} if self.attention is None else {"attn_implementation": self.attention}
        model = transformers.AutoModel.from_config(config, **how).to(self.dtype).eval()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.ndim > 1 and weight.requires_grad and "norm" not in name:  # tables of sines are frozen
                    weight.normal_(0, 0.2)
        return model


class CachedDecoder(TransformersAdapter):
    """A decoder that continues from the cache of the call before.

    positions: whether calls give `position_ids`, as `generate` does where the model takes them
    masked: the calls that bring the mask of all positions so far, if any is hidden
    """

    offers: ClassVar[Offers] = CACHED
    cache: ClassVar[str] = "cache"
    positions: ClassVar[bool] = True
    masked: ClassVar[Literal["every call", "first call"]] = "every call"

    def new_cache(self, model: Any) -> Any:
        """The cache of the first call; None where the model makes it."""
        return None

    def initial_state(self, model: Any, batch: int) -> Any:
        return self.new_cache(model), torch.ones(batch, 0, dtype=torch.long)

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        cache, before = state
        seen = torch.cat([before, torch.ones_like(x) if mask is None else mask.long()], 1)
        how: dict[str, Any] = {"use_cache": True, self.cache: cache}
        first = before.shape[1] == 0
        if not seen.all() and (first or self.masked == "every call"):  # without padding the mask may be left out
            how["attention_mask"] = seen
        if self.positions:
            how["position_ids"] = (seen.cumsum(1) - 1).clamp(min=0)[:, before.shape[1] :]
        result = model(input_ids=x, **how)
        return result.last_hidden_state, (result.get(self.cache, cache), seen)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        cache, seen = state
        if not hasattr(cache, "reorder_cache"):
            raise NotOffered("selection of rows of its cache")
        cache.reorder_cache(rows)
        return cache, seen[rows]


class PackedDecoder(TransformersAdapter):
    """Rows of several documents, told apart by positions that begin again at 0, as `DataCollatorWithFlattening` has it.

    call: further arguments of each call
    """

    offers: ClassVar[Offers] = Offers(
        "tokens", SIZE, first=3, state="none", documents=True, gradients=False, tolerance=TOLERANCE
    )
    call: ClassVar[dict[str, Any]] = {}

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        places = torch.arange(x.shape[1]).expand(x.shape)
        if starts is not None:
            places = places - torch.where(starts, places, 0).cummax(1).values
        return model(input_ids=x, position_ids=places, **self.call).last_hidden_state, None


class FlattenedDecoder(PackedDecoder):
    """All rows in one, with every argument that `DataCollatorWithFlattening` can return: `cu_seq_lens`, `seq_idx`."""

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        if starts is None:
            return super().forward(model, x)
        flat = starts.reshape(1, -1)
        borders = torch.cat([flat[0].nonzero().flatten(), torch.tensor([flat.numel()])]).int()
        longest = int(borders.diff().amax())
        places = torch.arange(flat.numel()).unsqueeze(0)
        result = model(
            input_ids=x.reshape(1, -1), position_ids=places - torch.where(flat, places, 0).cummax(1).values,
            seq_idx=flat.cumsum(1).int() - 1, cu_seq_lens_q=borders, cu_seq_lens_k=borders, max_length_q=longest,
            max_length_k=longest, **self.call,
        )  # fmt: skip
        return result.last_hidden_state.reshape(*x.shape, -1), None


class PaddedEncoder(TransformersAdapter):
    """An encoder in which every position sees all of its row, with a mask that hides padding on the right."""

    offers: ClassVar[Offers] = Offers(
        "tokens", SIZE, first=3, causal=False, state="none", mask=("right",), gradients=False, tolerance=TOLERANCE
    )

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        how = {} if mask is None else {"attention_mask": mask.long()}
        return model(input_ids=x, **how).last_hidden_state, None
