-- recent_changes(instance_id, within_ms, limit) → instance_id, number, news
-- What others announced in the last `within_ms` milliseconds, each server's in its order; the oldest first to the limit.
-- Rows are kept for 15 seconds at least. Readers ask for a span that overlaps the one before, because a row may become
-- visible later than one with a later time; they know by the number what they have seen.
create or replace function recent_changes(p_instance_id uuid, p_within_ms bigint, p_limit integer)
returns table (instance_id uuid, number bigint, news text)
language sql stable set search_path from current set enable_seqscan = off as $$
    select c.instance_id, c.number, c.news
      from (select * from changes_0 where written_at > clock_timestamp() - p_within_ms * interval '1 millisecond'
             union all
            select * from changes_1 where written_at > clock_timestamp() - p_within_ms * interval '1 millisecond') c
     where c.instance_id <> p_instance_id
     order by c.written_at, c.number
     limit p_limit
$$;
