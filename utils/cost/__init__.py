"""What a model costs: multiply-adds and parameters by layer, seconds, bytes, images per second."""

from utils.cost import throughput
from utils.cost.macs import count_macs, profile
from utils.cost.measure import peak_bytes, power_law, seconds, steady_allocator

__all__ = ["count_macs", "peak_bytes", "power_law", "profile", "seconds", "steady_allocator", "throughput"]
