-- search_child(epoch, partition_ids, lows, highs, at) → partition_id, found, epoch
-- For offsets_at(): halves the range of each partition in one child of messages, all partitions in step. Everything
-- below `low` is older than `at`, the message at `high` is not; about 20 look-ups by primary key a million.
create or replace function search_child(
    p_epoch integer, p_partition_ids bigint[], p_lows bigint[], p_highs bigint[], p_at timestamptz
) returns table (partition_id bigint, found bigint, epoch integer)
language plpgsql stable set search_path from current set enable_seqscan = off as $$
begin
    return query execute format('
        with recursive search as (
            -- What lies between an older epoch and the first message here is not there to be found.
            select u.partition_id, coalesce(f."offset", u.low) as low, u.high
              from unnest($1, $2, $3) u (partition_id, low, high)
              left join lateral (
                    select t."offset" from messages_%1$s t
                     where t.partition_id = u.partition_id and t."offset" >= u.low
                     order by t.partition_id, t."offset" limit 1) f on true
             union all
            -- Offsets may have gaps: the next message from the middle on stands for it.
            select s.partition_id, case when m.created_at < $4 then m."offset" + 1 else s.low end,
                   case when m.created_at < $4 then s.high else s.mid end
              from (select r.*, (r.low + r.high) / 2 as mid from search r where r.low < r.high) s
              left join lateral (
                    select t."offset", t.created_at from messages_%1$s t
                     where t.partition_id = s.partition_id and t."offset" >= s.mid and t."offset" < s.high
                     order by t.partition_id, t."offset" limit 1) m on true
        )
        select r.partition_id, r.low, %1$s from search r where r.low >= r.high', p_epoch)
      using p_partition_ids, p_lows, p_highs, p_at;
end
$$;
