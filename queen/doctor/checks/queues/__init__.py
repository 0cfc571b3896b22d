"""Queue semantics: lag, leases, dead letters, maintenance."""
