"""An image in memory: pixels, their domain, what holds no data."""
