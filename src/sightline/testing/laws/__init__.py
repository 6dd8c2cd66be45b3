"""The laws that every mechanism obeys. `LAWS` names them; each is a function from a `Subject` to its findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sightline.testing.findings import Finding
from sightline.testing.laws.blocks import across_blocks
from sightline.testing.laws.chunks import chunks_are_whole, step_is_parallel
from sightline.testing.laws.compiled import compiles
from sightline.testing.laws.modules import probe_changes_nothing, round_trip
from sightline.testing.laws.numerics import derivatives, equals_reference, long_and_large, low_precision
from sightline.testing.laws.shapes import shape_and_dtype, sizes
from sightline.testing.laws.states import (
    batch_order_and_size,
    join_is_alone,
    purity,
    retraction_is_rollback,
    select_commutes,
)
from sightline.testing.laws.training import training_mode
from sightline.testing.laws.transforms import empty_keeps_graph, transforms
from sightline.testing.laws.visibility import causality, content_under_mask, packed_is_alone, padding
from sightline.testing.subject import Subject

Law = Callable[[Subject], Iterator[Finding]]

LAWS: dict[str, Law] = {
    "shape and dtype": shape_and_dtype,
    "step = parallel": step_is_parallel,
    "any chunks = whole": chunks_are_whole,
    "causality": causality,
    "padding": padding,
    "packed = alone": packed_is_alone,
    "content under the mask": content_under_mask,
    "batch order and size": batch_order_and_size,
    "training mode": training_mode,
    "purity of states": purity,
    "select commutes": select_commutes,
    "joined = alone": join_is_alone,
    "rollback": retraction_is_rollback,
    "equals the reference": equals_reference,
    "gradcheck": derivatives,
    "torch.func = autograd": transforms,
    "empty keeps its graph": empty_keeps_graph,
    "low precision": low_precision,
    "sizes and strides": sizes,
    "across blocks": across_blocks,
    "long and large": long_and_large,
    "config and weights round trip": round_trip,
    "probe on = off": probe_changes_nothing,
    "compiled = eager": compiles,
}
