"""Datasets in the Brain Imaging Data Structure (BIDS): images by what their names say, derivatives out."""
