-- needed_from(span, first_offset, dedup_window_s) → the lowest offset of a span that has to stay
-- first_offset is that of the span's partition, null when the partition is gone; above last_offset: nothing has to stay.
create or replace function needed_from(p_span spans, p_first_offset bigint, p_dedup_window_s integer) returns bigint
language sql stable set search_path from current as $$
    select case when p_first_offset is null then p_span.last_offset + 1
                when p_dedup_window_s > 0 and p_span.last_at > now() - p_dedup_window_s * interval '1 second'
                     or exists (select from cursors c
                                 where c.partition_id = p_span.partition_id and c.acked < p_span.last_offset
                                   and c.lease_id is not null and c.lease_until > now())
                    then p_span.first_offset
                else greatest(p_span.first_offset, p_first_offset) end
$$;
