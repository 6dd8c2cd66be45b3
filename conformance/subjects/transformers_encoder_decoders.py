"""Encoder–decoders of `transformers`: the decoder with its cache, over the encoder's outputs for a source of its row.

The source of a row follows from its first token, and its end is padding in every second row, so a cache that mixes or
keeps rows shows in the outputs. The mask of the decoder may hide padding on the right.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from conformance.subjects._transformers import FLOAT32_TOLERANCE, SIZE, TOLERANCE, TransformersAdapter
from sightline.testing.foreign import NotOffered, Offers

REQUIREMENTS = ("transformers==5.24.0",)
SOURCE = 8
LAYERS: dict[str, Any] = {"encoder_layers": 2, "decoder_layers": 2}
BART: dict[str, Any] = {
    **LAYERS, "vocab_size": SIZE, "d_model": 32, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2, "decoder_start_token_id": 2, "forced_eos_token_id": None,
}  # fmt: skip
T5: dict[str, Any] = {
    "vocab_size": SIZE, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "pad_token_id": 0,
    "decoder_start_token_id": 0, "relative_attention_num_buckets": 8,
}  # fmt: skip
DECODED = Offers("tokens", SIZE, first=3, state="in place", mask=("right",), tolerance=TOLERANCE)


class State(NamedTuple):
    """What the caller keeps.

    whole: none of the decoder's positions so far is padding; length: their number
    """

    source: Tensor
    source_mask: Tensor
    encoded: Any
    cache: Any = None
    whole: bool = True
    length: int = 0


class EncoderDecoder(TransformersAdapter):
    offers: ClassVar[Offers] = DECODED
    common: ClassVar[dict[str, Any]] = {}

    def source(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, SOURCE) that follow from the first token of each row, and their mask."""
        tokens = 3 + (x[:, :1] * 5 + torch.arange(SOURCE) * 7) % (SIZE - 3)
        mask = torch.ones_like(tokens)
        mask[x[:, 0] % 2 == 0, -3:] = 0
        return tokens, mask

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        if state is None:
            source, source_mask = self.source(x)
            encoded = model.get_encoder()(input_ids=source, attention_mask=source_mask, return_dict=True)
            state = State(source, source_mask, encoded)
        elif not state.whole:
            raise NotOffered("positions after padding on the right")
        how: dict[str, Any] = {} if mask is None else {"decoder_attention_mask": mask.long()}
        how |= {"attention_mask": state.source_mask, "encoder_outputs": state.encoded}
        result = self.decoded(model, x, state, how)
        whole = mask is None or bool(mask.all())
        return result.last_hidden_state, state._replace(
            cache=result.cache, whole=whole, length=state.length + x.shape[1]
        )

    def decoded(self, model: Any, x: Tensor, state: State, how: dict[str, Any]) -> Any:
        return model(decoder_input_ids=x, cache=state.cache, use_cache=True, **how)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        if state.cache is None:
            raise NotOffered("a cache after a call of several positions")
        state.cache.reorder_cache(rows)
        encoded = copy.copy(state.encoded)
        encoded.last_hidden_state = encoded.last_hidden_state[rows]
        return state._replace(source=state.source[rows], source_mask=state.source_mask[rows], encoded=encoded)


class Bart(EncoderDecoder):
    name = "BartModel"
    config = "BartConfig"
    options: ClassVar[dict[str, Any]] = BART


class MBart(EncoderDecoder):
    name = "MBartModel"
    config = "MBartConfig"
    options: ClassVar[dict[str, Any]] = BART


class Marian(EncoderDecoder):
    name = "MarianModel"
    config = "MarianConfig"
    options: ClassVar[dict[str, Any]] = {**BART, "decoder_vocab_size": SIZE}


class Pegasus(EncoderDecoder):
    name = "PegasusModel"
    config = "PegasusConfig"
    options: ClassVar[dict[str, Any]] = BART


class PegasusX(EncoderDecoder):
    name = "PegasusXModel, blocks of 4"
    config = "PegasusXConfig"
    options: ClassVar[dict[str, Any]] = {**BART, "block_size": 4, "num_global_tokens": 2}


class BigBirdPegasus(EncoderDecoder):
    name = "BigBirdPegasusModel"
    config = "BigBirdPegasusConfig"
    options: ClassVar[dict[str, Any]] = {**BART, "attention_type": "original_full"}


class Led(EncoderDecoder):
    name = "LEDModel, window of 4"
    config = "LEDConfig"
    options: ClassVar[dict[str, Any]] = {
        **BART, "max_encoder_position_embeddings": 64, "max_decoder_position_embeddings": 64,
        "attention_window": [4, 4],
    }  # fmt: skip


class LedFloat32(Led):
    name = "LEDModel, window of 4, float32"
    dtype = torch.float32
    offers: ClassVar[Offers] = Offers(
        "tokens", SIZE, first=3, state="in place", mask=("right",), tolerance=FLOAT32_TOLERANCE
    )


class M2M100(EncoderDecoder):
    name = "M2M100Model"
    config = "M2M100Config"
    options: ClassVar[dict[str, Any]] = BART


class Blenderbot(EncoderDecoder):
    name = "BlenderbotModel"
    config = "BlenderbotConfig"
    options: ClassVar[dict[str, Any]] = BART


class Fsmt(EncoderDecoder):
    name = "FSMTModel, float32"
    config = "FSMTConfig"
    dtype = torch.float32  # without a cache, float64 raises: the least float64 is no float32
    offers: ClassVar[Offers] = Offers(
        "tokens", SIZE, first=3, state="in place", mask=("right",), tolerance=FLOAT32_TOLERANCE
    )
    options: ClassVar[dict[str, Any]] = {**BART, "src_vocab_size": SIZE, "tgt_vocab_size": SIZE, "langs": ["en", "de"]}

    def decoded(self, model: Any, x: Tensor, state: State, how: dict[str, Any]) -> Any:
        return super().decoded(model, x, state, {**how, "input_ids": state.source})


class FsmtSteps(Fsmt):
    """As the labels of a loss and `generate` call it: several positions without a cache, one position with it."""

    name = "FSMTModel, several positions with use_cache=False, float32"
    offers: ClassVar[Offers] = Offers(
        "tokens", SIZE, first=3, state="in place", several=False, mask=("right",), tolerance=FLOAT32_TOLERANCE
    )

    def decoded(self, model: Any, x: Tensor, state: State, how: dict[str, Any]) -> Any:
        if x.shape[1] == 1:
            if state.cache is None and state.length:
                raise NotOffered("a cache after a call of several positions")
            return super().decoded(model, x, state, how)
        return model(decoder_input_ids=x, use_cache=False, **how, input_ids=state.source)


class ProphetNet(EncoderDecoder):
    name = "ProphetNetModel, float32"
    config = "ProphetNetConfig"
    dtype = torch.float32  # in float64 a plain call gives NaN
    offers: ClassVar[Offers] = Offers(
        "tokens", SIZE, first=3, state="in place", several=False, mask=("right",), tolerance=FLOAT32_TOLERANCE
    )
    options: ClassVar[dict[str, Any]] = {
        "vocab_size": SIZE, "hidden_size": 32, "num_encoder_layers": 2, "num_decoder_layers": 2,
        "num_encoder_attention_heads": 4, "num_decoder_attention_heads": 4, "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 48, "max_position_embeddings": 64, "num_buckets": 8, "relative_max_distance": 16,
        "pad_token_id": 0,
    }  # fmt: skip


class T5Model(EncoderDecoder):
    name = "T5Model"
    config = "T5Config"
    options: ClassVar[dict[str, Any]] = T5


class UMT5(EncoderDecoder):
    name = "UMT5Model"
    config = "UMT5Config"
    options: ClassVar[dict[str, Any]] = T5


class LongT5(EncoderDecoder):
    name = "LongT5Model, local attention of 4"
    config = "LongT5Config"
    options: ClassVar[dict[str, Any]] = {**T5, "local_radius": 4}


class LongT5Global(EncoderDecoder):
    name = "LongT5Model, transient global attention"
    config = "LongT5Config"
    options: ClassVar[dict[str, Any]] = {
        **T5, "local_radius": 4, "encoder_attention_type": "transient-global", "global_block_size": 4,
    }  # fmt: skip


class SwitchTransformers(EncoderDecoder):
    name = "SwitchTransformersModel"
    config = "SwitchTransformersConfig"
    options: ClassVar[dict[str, Any]] = {**T5, "num_experts": 4, "expert_capacity": 64}


SUBJECTS = (
    Bart,
    MBart,
    Marian,
    Pegasus,
    PegasusX,
    BigBirdPegasus,
    Led,
    LedFloat32,
    M2M100,
    Blenderbot,
    Fsmt,
    FsmtSteps,
    ProphetNet,
    T5Model,
    UMT5,
    LongT5,
    LongT5Global,
    SwitchTransformers,
)
