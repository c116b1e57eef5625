"""TIFF without a georeference: photographs, scans and microscopy of 8 and 16 bits."""
