-- bury(partition_id, offset, group, error, retries) → dead_letter_id, or null when the message is no longer kept
-- Copies one message to dead_letters. The read goes through the parent: this is rare enough to look into every child.
-- Tables written, in lock order: counters, dead_letters.
create or replace function bury(p_partition_id bigint, p_offset bigint, p_group text, p_error text, p_retries integer)
returns bigint
language sql set search_path from current as $$
    insert into dead_letters (dead_letter_id, queue_id, partition_id, "offset", consumer_group, transaction_id, payload,
                              error, retries, trace_id, producer_sub, created_at, failed_at, first_id)
    select take_ids('dead_letter', 1), m.queue_id, m.partition_id, m."offset", p_group, m.transaction_id, m.payload,
           p_error, p_retries, m.trace_id, m.producer_sub, m.created_at, now(), m.first_id
      from messages m where m.partition_id = p_partition_id and m."offset" = p_offset
    returning dead_letter_id
$$;
