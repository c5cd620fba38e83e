"""What a model costs: multiply-adds and parameters by layer, seconds, bytes, images per second."""

from utils.cost.macs import count_macs, profile
from utils.cost.measure import peak_bytes, power_law, seconds

__all__ = ["count_macs", "peak_bytes", "power_law", "profile", "seconds"]
