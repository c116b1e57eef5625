"""The replica: fetch and decode, process, encode and store, commit."""
