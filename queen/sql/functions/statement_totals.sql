-- statement_totals() → what pg_stat_statements counted for calls of functions of this schema, by function
-- Of calls that name schema and function in quotes, as servers do. The pops of all epochs are one: `pop`. Totals since the
-- extension was reset; `blocks` are shared blocks hit and read. Nothing where the extension is not installed, not loaded,
-- or not to be read. Tables written: none.
create or replace function statement_totals()
returns table (name text, calls bigint, total_ms double precision, blocks double precision)
language plpgsql stable set search_path from current as $$
declare
    v_view  text;
begin
    select format('%I.pg_stat_statements', n.nspname) into v_view
      from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
     where e.extname = 'pg_stat_statements';
    if v_view is null then
        return;
    end if;
    return query execute format(
        'select called.name, sum(s.calls)::bigint, sum(s.total_exec_time),
                sum(s.shared_blks_hit + s.shared_blks_read)::double precision
           from %s s
          cross join lateral (
              select regexp_replace(substring(substr(s.query, strpos(s.query, $1) + length($1)) from ''^([a-z_0-9]+)"\(''),
                                    ''_[0-9]+$'', '''') as name) called
          where s.dbid = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
            and s.toplevel and strpos(s.query, $1) > 0 and called.name is not null
          group by 1', v_view)
    using '"' || replace(current_schema(), '"', '""') || '"."';
exception
    -- It must be in shared_preload_libraries; it may belong to somebody else, or be too old.
    when object_not_in_prerequisite_state or insufficient_privilege or undefined_table or undefined_column then
        return;
end
$$;
