-- enqueue(queue, partition, payload, transaction_id, delay_seconds, scheduled_at, trace_id) → the transaction id
--
-- Stores one message in the caller's own transaction, as enqueue_many() does several; all is said there.
--   partition        null: Default
--   transaction_id   null: one is made
create or replace function enqueue(
    queue text, partition text, payload text, transaction_id text default null,
    delay_seconds double precision default null, scheduled_at timestamptz default null, trace_id uuid default null
) returns text
language sql volatile set search_path from current as $$
    select (enqueue_many(enqueue.queue, array[enqueue.partition], array[enqueue.payload], array[enqueue.transaction_id],
                         enqueue.delay_seconds, enqueue.scheduled_at, array[enqueue.trace_id]))[1]
$$;
