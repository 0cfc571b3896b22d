-- forget_traces(older_than_ms, limit) → number of traces that went
-- Removes the oldest traces that are older than this, at most `limit`, and takes them out of the counts of their names.
-- Tables written, in lock order: trace_names (by name), traces, trace_links.
create or replace function forget_traces(p_older_than_ms bigint, p_limit integer) returns bigint
language plpgsql set search_path from current set enable_seqscan = off as $$
declare
    v_ids       uuid[];
    v_names     text[];
    v_count     bigint;
    v_before    uuid := (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint - p_older_than_ms), 12, '0')
                         || '00000000000000000000')::uuid;
begin
    select array_agg(o.trace_id) into v_ids
      from (select t.trace_id from traces t
             where t.trace_id < v_before order by t.trace_id limit p_limit) o;
    if v_ids is null then
        return 0;
    end if;
    select array_agg(l.name) into v_names
      from (select n.name from trace_names n
             where n.name in (select unnest(t.names) from traces t where t.trace_id = any (v_ids))
             order by n.name for no key update) l;
    delete from traces t where t.trace_id = any (v_ids);
    get diagnostics v_count = row_count;
    with gone as (
        delete from trace_links l using unnest(v_names) n (name)
         where l.name = n.name and l.trace_id = any (v_ids)
        returning l.name, l.partition_id, l.transaction_id, l.trace_id
    ), counted as (
        select g.name, sum(g.traces) as traces,
               count(*) filter (where not exists (
                    select from trace_links k
                     where k.name = g.name and k.transaction_id = g.transaction_id and k.partition_id = g.partition_id
                       and k.trace_id <> all (v_ids))) as messages
          from (select d.name, d.transaction_id, d.partition_id, count(*) as traces from gone d group by 1, 2, 3) g
         group by g.name
    )
    update trace_names t set traces = t.traces - c.traces, messages = t.messages - c.messages
      from counted c where t.name = c.name;
    delete from trace_names t where t.name = any (v_names) and t.traces <= 0;
    return v_count;
end
$$;
