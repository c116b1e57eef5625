"""One batch on the device: degrade, restore and score."""
