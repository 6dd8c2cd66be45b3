"""Tools to look inside a model."""

from sightline.inspect.statistics import AttentionStatistics, attention_statistics

__all__ = ["AttentionStatistics", "attention_statistics"]
