"""DICOM: objects are read whole and written as derived images, whose headers say what was done."""
