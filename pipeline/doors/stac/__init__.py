"""Catalogues of satellite images (STAC): static ones, ItemCollections, stac-geoparquet."""
