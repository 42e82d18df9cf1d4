"""What must hold: contracts, verdicts, standing, and the ledger they are written in."""
