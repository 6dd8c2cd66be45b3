"""The table of mechanisms, in order of publication. One file is one mechanism; one line here makes it known."""

from __future__ import annotations

from sightline.mixers.additive import AdditiveConfig
from sightline.mixers.bidirectional import BidirectionalConfig
from sightline.mixers.block_sparse import BlockSparseConfig
from sightline.mixers.cross import CrossConfig
from sightline.mixers.gated_delta import GatedDeltaConfig
from sightline.mixers.gated_linear import GatedLinearConfig
from sightline.mixers.gru import GRUConfig
from sightline.mixers.linear import LinearConfig
from sightline.mixers.lru import LRUConfig
from sightline.mixers.lstm import LSTMConfig
from sightline.mixers.min_gru import MinGRUConfig
from sightline.mixers.min_lstm import MinLSTMConfig
from sightline.mixers.retention import RetentionConfig
from sightline.mixers.rnn import RNNConfig
from sightline.mixers.softmax import SoftmaxConfig
from sightline.mixers.window import WindowConfig

MIXERS = {
    "rnn": RNNConfig,  # Elman 1990
    "lstm": LSTMConfig,  # Hochreiter & Schmidhuber 1997
    "bidirectional": BidirectionalConfig,  # Schuster & Paliwal 1997
    "gru": GRUConfig,  # Cho et al. 2014
    "additive": AdditiveConfig,  # Bahdanau et al. 2015
    "softmax": SoftmaxConfig,  # Vaswani et al. 2017
    "cross": CrossConfig,  # Vaswani et al. 2017
    "window": WindowConfig,  # Child et al. 2019
    "block_sparse": BlockSparseConfig,  # Child et al. 2019
    "linear": LinearConfig,  # Katharopoulos et al. 2020
    "lru": LRUConfig,  # Orvieto et al. 2023
    "retention": RetentionConfig,  # Sun et al. 2023
    "gated_linear": GatedLinearConfig,  # Yang et al. 2024, Dao & Gu 2024
    "min_gru": MinGRUConfig,  # Feng et al. 2024
    "min_lstm": MinLSTMConfig,  # Feng et al. 2024
    "gated_delta": GatedDeltaConfig,  # Yang et al. 2025
}
