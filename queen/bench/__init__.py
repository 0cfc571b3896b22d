"""`queen bench`: does a system hold a rate within objectives, and is every message accounted for?

Reading order: `workload` (what), `schedule` (when), `worker` (do), `crew` (who), `ledger` (count), `slo` and `verdict`
(judge), `run` (the phases of one run), `result` (the record that everything else is a view of).
It drives a server through HTTP as any client does, and looks at PostgreSQL through `queen.store.probe` alone.
"""
