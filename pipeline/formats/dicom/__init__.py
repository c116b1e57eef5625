"""DICOM, read and written as derived images."""
