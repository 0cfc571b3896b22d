"""Vacuum and MVCC: dead rows, who holds the horizon, autovacuum that cannot keep up."""
