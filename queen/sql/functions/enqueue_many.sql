-- enqueue_many(queue, partitions, payloads, transaction_ids, delay_seconds, scheduled_at, trace_ids) → transaction ids
--
-- For programs that write to this database themselves: stores messages of one queue in the caller's own transaction. They
-- are there when it commits, and were never there when it, or a savepoint around the call, is rolled back.
--   partitions        one entry per message, or one for all; null: Default
--   payloads          one JSON text per message
--   transaction_ids   one entry per message, or null; where it is null one is made
--   delay_seconds, scheduled_at   when the messages take their place in the order; null for at once. Not both
--   trace_ids         one entry per message, or null
-- Returns the transaction id of each message, in input order.
-- The messages of one transaction keep their order within a partition. Between transactions there is none but that of
-- the moves: place_enqueued() gives them their offsets after the commit. It also creates what is missing, and drops
-- what is a duplicate by then. So the caller holds no lock that anybody waits for, however long its transaction.
-- (xid, number) is unique and ascends along the calls of a transaction: an xid names one transaction, and its numbers go
-- on from the last one, which a setting of the transaction keeps; it goes back with a savepoint, as the messages do. They
-- keep up with the clock, so they ascend even where that setting was reset. Nothing is read from `enqueued`: a transaction
-- that is serializable would depend on all others that enqueue.
-- Calls: is_encrypted, new_transaction_id.
-- Servers are woken at the commit; a transaction that notifies cannot be prepared (PREPARE TRANSACTION).
-- Raises QN010 for an argument that is none, QN011 for a payload that is not JSON, QN012 for one that is too large,
-- QN013 for a queue whose payloads are encrypted: the key is with the servers.
-- Tables written: enqueued.
create or replace function enqueue_many(
    queue text, partitions text[], payloads text[], transaction_ids text[] default null,
    delay_seconds double precision default null, scheduled_at timestamptz default null, trace_ids uuid[] default null
) returns text[]
language plpgsql volatile set search_path from current as $$
#variable_conflict use_variable
declare
    c_bytes_max     constant integer := 16777216;   -- as engine.payload_bytes_max
    c_delay_max     constant double precision := 315360000;
    v_count         integer := coalesce(cardinality(payloads), 0);
    v_names         text[];
    v_ids           text[];
    v_xid           bigint;
    v_kept          text[];
    v_last          bigint;         -- the number of this transaction's message before
    v_due           timestamptz := scheduled_at;
    v_n             integer := 0;
    v_payload       text;
    v_json          json;
begin
    if v_count = 0 then
        return '{}';
    end if;
    v_names := case when coalesce(cardinality(partitions), 0) > 1 then partitions
                    else array_fill(partitions[1], array[v_count]) end;
    if cardinality(v_names) <> v_count or coalesce(cardinality(transaction_ids), v_count) <> v_count
       or coalesce(cardinality(trace_ids), v_count) <> v_count then
        raise exception using errcode = 'QN010',
            message = format('%s payloads, and another number of partitions, transaction ids or trace ids', v_count),
            hint = 'Give one entry per message, or one partition for all.';
    end if;
    if queue is null or exists (
        select from unnest(array[queue] || v_names || transaction_ids) u (name) where char_length(u.name) > 255)
    then
        raise exception using errcode = 'QN010', message = 'a name is missing, or longer than 255 characters',
            hint = 'Check the queue, the partitions and the transaction ids.';
    end if;
    if is_encrypted(queue) then
        raise exception using errcode = 'QN013',
            message = format('payloads of queue %L are encrypted, and the database has no key', left(queue, 60)),
            hint = 'Push over HTTP, or switch encryptionEnabled of the queue off.';
    end if;
    if delay_seconds is not null then
        if scheduled_at is not null or not delay_seconds between 0 and c_delay_max then
            raise exception using errcode = 'QN010',
                message = 'delay_seconds must be from 0 to ten years, and alone',
                hint = 'Leave out delay_seconds or scheduled_at.';
        end if;
        v_due := clock_timestamp() + delay_seconds * interval '1 second';
    end if;

    begin
        foreach v_payload in array payloads loop
            v_n := v_n + 1;
            if v_payload is null then
                raise exception using errcode = 'QN011', message = format('payload %s is null', v_n),
                    hint = 'The JSON value null is the text ''null''.';
            elsif octet_length(v_payload) > c_bytes_max then
                raise exception using errcode = 'QN012',
                    message = format('payload %s has %s bytes, %s is the most', v_n, octet_length(v_payload), c_bytes_max),
                    hint = 'Store the data elsewhere and send a reference.';
            end if;
            v_json := v_payload::json;
        end loop;
    exception when invalid_text_representation or statement_too_complex then
        raise exception using errcode = 'QN011', message = format('payload %s is not JSON: %s', v_n, sqlerrm),
            hint = 'Send JSON text; to_json(value)::text makes it of any value.';
    end;

    v_xid := pg_current_xact_id()::text::bigint;
    v_kept := string_to_array(current_setting('queen_enqueue.last', true), ':');
    v_last := greatest(floor(extract(epoch from clock_timestamp() - transaction_timestamp()) * 1000000)::bigint,
                       case when v_kept[1] = v_xid::text then v_kept[2]::bigint end, 0);
    perform set_config('queen_enqueue.last', v_xid || ':' || v_last + v_count, true);
    select array_agg(coalesce(nullif(u.id, ''), new_transaction_id()) order by u.n) into v_ids
      from unnest(payloads, transaction_ids) with ordinality u (payload, id, n);
    insert into enqueued (xid, number, trace_id, due_at, queue, partition, transaction_id, payload)
    select v_xid, v_last + i.n, i.trace_id, v_due, queue, coalesce(nullif(i.name, ''), 'Default'), i.id,
           i.payload
      from unnest(payloads, v_ids, v_names, trace_ids) with ordinality i (payload, id, name, trace_id, n)
     order by i.n;
    perform pg_notify(current_schema(), 'enqueued');
    return v_ids;
end
$$;
