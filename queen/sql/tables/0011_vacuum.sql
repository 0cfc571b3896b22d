-- How vacuum treats the small tables that change all the time: queen.doctor looks for the same (V3, V12).
--
-- A count of dead rows calls it and never a share of the table. It does not pause: these tables are small, and a vacuum
-- that sleeps is one that comes late. It gives no space back at the end of a table: that takes a lock which pushes and
-- pops would wait for, and the space is needed again at once.

alter table partitions set (autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off, log_autovacuum_min_duration = 1000);
alter table cursors set (autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off, log_autovacuum_min_duration = 1000);
alter table instances set (autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
alter table leader set (autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
alter table trace_names set (autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
alter table enqueued set (autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
alter table leases set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
alter table queue_stats set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
alter table group_stats set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);

-- One row per partition that ever had a scheduled message, counted down at each: as `partitions`.
alter table scheduled_places set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
