-- countable(queue_ids, live_max) → the partitions of these queues (of all when null), if they are few; else null
-- Few: at most live_max, with at most five cursors each on average. To find out that they are not few costs no more than
-- to look at as many.
create or replace function countable(p_queue_ids integer[], p_live_max integer) returns bigint[]
language plpgsql stable set search_path from current set enable_seqscan = off as $$
declare
    v_ids       bigint[] := partitions_of(p_queue_ids, p_live_max + 1);
    v_most      integer := 5 * p_live_max + 1;
begin
    if cardinality(v_ids) > p_live_max
       or v_most = (select count(*)
                      from (select from unnest(v_ids) u (partition_id)
                             cross join lateral (select from cursors t where t.partition_id = u.partition_id
                                                  limit v_most) c
                             limit v_most) x) then
        return null;
    end if;
    return v_ids;
end
$$;
