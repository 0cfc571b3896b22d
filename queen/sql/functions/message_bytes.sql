-- message_bytes() → bytes a stored message takes on average, with its share of all indexes; null without messages
-- From the sizes of the children and PostgreSQL's own count of their rows; nothing is read.
create or replace function message_bytes() returns double precision
language sql stable set search_path from current as $$
    select sum(pg_total_relation_size(c.oid)) / nullif(sum(greatest(c.reltuples, pg_stat_get_live_tuples(c.oid))), 0)
      from epochs e join pg_class c on c.oid = to_regclass('messages_' || e.epoch)
     where e.emptied_at is null
$$;
