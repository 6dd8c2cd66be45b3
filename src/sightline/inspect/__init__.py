"""Tools to look inside a model."""

from sightline.inspect.alternatives import adversarial_attention, permuted_attention
from sightline.inspect.faithfulness import erasure_curves, gradient_importance, leave_one_out, replacement_effect
from sightline.inspect.heads import ablated_heads, head_gradients, head_importance, head_scores
from sightline.inspect.inspection import influence
from sightline.inspect.jacobian import jacobian_norms, layer_jacobians
from sightline.inspect.record import recorded_attention, replaced_attention
from sightline.inspect.roles import HeadScores, score_heads
from sightline.inspect.rollout import attention_rollout, value_weighted_norms
from sightline.inspect.statistics import AttentionStatistics, attention_statistics

__all__ = [
    "AttentionStatistics",
    "HeadScores",
    "ablated_heads",
    "adversarial_attention",
    "attention_rollout",
    "attention_statistics",
    "erasure_curves",
    "gradient_importance",
    "head_gradients",
    "head_importance",
    "head_scores",
    "influence",
    "jacobian_norms",
    "layer_jacobians",
    "leave_one_out",
    "permuted_attention",
    "recorded_attention",
    "replaced_attention",
    "replacement_effect",
    "score_heads",
    "value_weighted_norms",
]
