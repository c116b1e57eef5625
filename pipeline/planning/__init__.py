"""What is to do: the listing minus the ledger, cut into units."""
