"""The measurements behind every figure that Shipway's documents give: ``make bench``."""
