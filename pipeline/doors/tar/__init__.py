"""Tar shards, as WebDataset has them."""
