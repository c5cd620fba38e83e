"""Small layers that answers are given, not asked to write."""

from utils.layers.channel_mlp import ChannelMLP
from utils.layers.stochastic_depth import StochasticDepth, depth_rates

__all__ = ["ChannelMLP", "StochasticDepth", "depth_rates"]
