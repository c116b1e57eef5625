"""Restorers made fit for small machines: exported, compressed."""
