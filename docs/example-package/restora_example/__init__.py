"""A metric and a network for Restora."""
