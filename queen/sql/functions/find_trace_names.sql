-- find_trace_names(limit, offset) → names of traces with their counts, in the order of names
-- `total` is the number of all names: counted up to 10,000, beyond that PostgreSQL's own estimate.
create or replace function find_trace_names(p_limit integer, p_offset integer)
returns table (name text, traces bigint, messages bigint, last_seen timestamptz, total bigint)
language sql stable set search_path from current set enable_seqscan = off set enable_sort = off as $$
    select n.name, n.traces, n.messages, n.last_seen, c.total
      from (select case when b.count <= 10000 then b.count
                        else greatest(b.count, (select k.reltuples::bigint from pg_class k
                                                 where k.oid = 'trace_names'::regclass)) end as total
              from (select count(*) as count
                      from (select from trace_names s order by s.name limit 10001) s) b) c
      left join lateral (
            select * from trace_names s order by s.name limit p_limit offset p_offset) n on true
$$;
