-- partitions_of(queue_ids, limit) → up to `limit` ids of partitions of these queues; of all queues when null
-- One more than a bound tells whether there are more, at the price of the bound.
create or replace function partitions_of(p_queue_ids integer[], p_limit integer) returns bigint[]
language plpgsql stable set search_path from current set enable_seqscan = off as $$
begin
    if p_queue_ids is null then
        return (select coalesce(array_agg(x.partition_id), '{}')
                  from (select p.partition_id from partitions p order by p.partition_id limit p_limit) x);
    end if;
    return (select coalesce(array_agg(x.partition_id), '{}')
              from (select p.partition_id from unnest(p_queue_ids) u (queue_id)
                     cross join lateral (select t.partition_id from partitions t
                                          where t.queue_id = u.queue_id limit p_limit) p
                     limit p_limit) x);
end
$$;
