"""What the ledger says to people: tables, statistics, verification."""
