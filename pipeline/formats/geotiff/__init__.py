"""GeoTIFF, with its georeference, tiles and overviews."""
