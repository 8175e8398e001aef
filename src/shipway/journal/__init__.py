"""What happened and why: the ledger, decisions, events and metric points. Append-only."""
