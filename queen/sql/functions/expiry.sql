-- expiry(partition_id, keep_s, done_s, wait_s) → the first offset that retention lets the partition keep
--   keep_s   retentionSeconds: older messages go, consumed or not
--   done_s   completedRetentionSeconds: older messages go that every group has passed
--   wait_s   maxWaitTimeSeconds: older messages go as soon as one of them was not delivered to some group
-- Each may be null: not set. A registered group without a cursor here has passed what lies before its start; one that
-- starts at the oldest message has passed nothing. What a live lease holds counts as delivered.
create or replace function expiry(p_partition_id bigint, p_keep_s bigint, p_done_s bigint, p_wait_s bigint)
returns bigint
language plpgsql stable set search_path from current set enable_seqscan = off as $$
declare
    v_part      record;
    v_target    bigint;
    v_passed    bigint;     -- everything up to here was acked by every group; null without any group
    v_given     bigint;     -- everything up to here was delivered to every group
    v_start     bigint;
    v_cut       bigint;
begin
    select p.queue_id, p.first_offset, p.next_offset into v_part from partitions p where p.partition_id = p_partition_id;
    v_target := v_part.first_offset;
    if p_keep_s is not null then
        v_target := offset_at(p_partition_id, now() - p_keep_s * interval '1 second');
    end if;
    if p_done_s is null and p_wait_s is null then
        return v_target;
    end if;

    select min(c.acked),
           min(case when c.lease_id is not null and c.lease_until > now() then greatest(c.acked, c.lease_end)
                    else c.acked end)
      into v_passed, v_given from cursors c where c.partition_id = p_partition_id;
    select min(case when b.start_at = '-infinity' then v_part.first_offset
                    else offset_at(p_partition_id, b.start_at) end) - 1
      into v_start from subscriptions b
     where b.queue_id = v_part.queue_id
       and not exists (select from cursors c
                        where c.partition_id = p_partition_id and c.consumer_group = b.consumer_group);
    v_passed := least(v_passed, v_start);
    v_given := coalesce(least(v_given, v_start), v_part.first_offset - 1);

    if p_done_s is not null and v_passed >= v_target then
        v_target := greatest(v_target,
                             least(offset_at(p_partition_id, now() - p_done_s * interval '1 second'), v_passed + 1));
    end if;
    if p_wait_s is not null and v_given < v_part.next_offset - 1 then
        v_cut := offset_at(p_partition_id, now() - p_wait_s * interval '1 second');
        if v_given < v_cut - 1 then
            v_target := greatest(v_target, v_cut);
        end if;
    end if;
    return v_target;
end
$$;
