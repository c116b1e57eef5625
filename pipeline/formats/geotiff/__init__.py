"""GeoTIFF: rasters with their georeference and masks, written as cloud-optimised files."""
