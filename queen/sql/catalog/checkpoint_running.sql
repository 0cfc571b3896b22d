-- Is a checkpoint under way? A checkpointer that has nothing to do waits in its main loop.
-- Returns one row: running; false also for a role that may not see it. Tables written: none.
select exists (select from pg_stat_activity
                where backend_type = 'checkpointer' and coalesce(wait_event, '') <> 'CheckpointerMain'
                  and (wait_event is not null or pg_has_role('pg_read_all_stats', 'usage'))) as running
