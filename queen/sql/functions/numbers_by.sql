-- numbers_by(what, limit, offset, live_max) → name, queues, partitions, total, pending; by name
-- Numbers of all queues by their namespace or, with 'task', by their task. If there is little (see countable) it is
-- counted, else they are sums of what is kept.
create or replace function numbers_by(p_what text, p_limit integer, p_offset integer, p_live_max integer)
returns table (name text, queues bigint, partitions bigint, total bigint, pending bigint)
language plpgsql stable set search_path from current as $$
#variable_conflict use_column
declare
    v_ids   bigint[] := countable(null, p_live_max);
    v_live  boolean := v_ids is not null;
begin
    return query
    select n.name, count(*), coalesce(sum(n.partitions), 0)::bigint, coalesce(sum(n.total), 0)::bigint,
           coalesce(sum(n.pending), 0)::bigint
      from (select case p_what when 'task' then q.task else q.namespace end collate "C" as name, s.*
              from queues q
              left join (select k.* from queue_stats k where not v_live
                          union all
                         select c.* from count_queues(v_ids) c where v_live) s on s.queue_id = q.queue_id) n
     group by n.name
     order by n.name
     limit p_limit offset p_offset;
end
$$;
