-- What Queen's sessions that are at work wait for at this moment.
-- Returns (event, sessions): the event as Type:Name, CPU for those that do not wait; no row when none is at work.
-- Sessions that look on, like the one that asks, are left out. Tables written: none.
select coalesce(wait_event_type || ':' || wait_event, 'CPU') as event, count(*) as sessions
  from pg_stat_activity
 where datname = current_database() and state = 'active' and pid <> pg_backend_pid()
   and application_name in ('queen', 'queen-listen', 'queen-admin')
 group by 1
