"""The table of mechanisms, in order of publication. One file is one mechanism; one line here makes it known."""

from __future__ import annotations

from sightline.mixers.additive import AdditiveConfig
from sightline.mixers.bidirectional import BidirectionalConfig
from sightline.mixers.block_sparse import BlockSparseConfig
from sightline.mixers.cross import CrossConfig
from sightline.mixers.gru import GRUConfig
from sightline.mixers.lstm import LSTMConfig
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
}
