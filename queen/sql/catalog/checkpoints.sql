-- How many checkpoints the cluster made, up to PostgreSQL 16.
-- Returns one row of a running total: checkpoints. Tables written: none.
select checkpoints_timed + checkpoints_req as checkpoints from pg_stat_bgwriter
