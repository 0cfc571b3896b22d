-- postgres_stats() → one JSON object of what PostgreSQL counts of itself: database, connections, tables, wal, checkpoints
-- Columns are passed on under PostgreSQL's own names, so a newer version shows more. `tables` has the tables of Queen
-- that change; the children of `messages` are added up. A view that the role may not read, or that this version does not
-- have, is null. Nothing of it reads a table of messages.
create or replace function postgres_stats() returns jsonb
language plpgsql stable set search_path from current as $$
declare
    v_checkpoints   jsonb;
begin
    if to_regclass('pg_catalog.pg_stat_checkpointer') is not null then
        execute 'select to_jsonb(c) from pg_catalog.pg_stat_checkpointer c' into v_checkpoints;
    else
        select to_jsonb(b) into v_checkpoints from pg_catalog.pg_stat_bgwriter b;
    end if;
    return jsonb_build_object(
        'version', current_setting('server_version'),
        'database', (select to_jsonb(d) from pg_catalog.pg_stat_database d where d.datname = current_database()),
        'connections', (select jsonb_build_object(
                'total', count(*), 'active', count(*) filter (where a.state = 'active'),
                'idle', count(*) filter (where a.state = 'idle'),
                'idleInTransaction', count(*) filter (where a.state like 'idle in transaction%'),
                'waitingForLocks', count(*) filter (where a.wait_event_type = 'Lock'),
                'max', current_setting('max_connections')::integer)
            from pg_catalog.pg_stat_activity a where a.backend_type = 'client backend'),
        'tables', (select jsonb_object_agg(t.name, to_jsonb(t) - 'name') from (
                select case when s.relname like 'messages\_%' then 'messages' else s.relname::text end as name,
                       count(*) as children, sum(s.n_live_tup)::bigint as n_live_tup,
                       sum(s.n_dead_tup)::bigint as n_dead_tup, sum(s.n_tup_ins)::bigint as n_tup_ins,
                       sum(s.n_tup_upd)::bigint as n_tup_upd, sum(s.n_tup_hot_upd)::bigint as n_tup_hot_upd,
                       sum(s.n_tup_del)::bigint as n_tup_del, sum(s.seq_scan)::bigint as seq_scan,
                       sum(s.idx_scan)::bigint as idx_scan, max(s.last_autovacuum) as last_autovacuum,
                       max(s.last_autoanalyze) as last_autoanalyze
                  from pg_catalog.pg_stat_user_tables s
                 where s.schemaname = current_schema() group by 1) t),
        'wal', (select to_jsonb(w) from pg_catalog.pg_stat_wal w),
        'checkpoints', v_checkpoints);
end
$$;
