-- How many checkpoints the cluster made, from PostgreSQL 17 on.
-- Returns one row of a running total: checkpoints. Tables written: none.
select num_timed + num_requested as checkpoints from pg_stat_checkpointer
