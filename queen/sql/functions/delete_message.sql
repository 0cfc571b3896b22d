-- delete_message(partition_id, transaction_id, lock_ms) → what was deleted: 'dead_letters', 'message', or null
--
-- Deletes the dead letters of an address; if it has none, the newest message that carries the transaction id. This is one
-- of the few deletes of a row: the offset stays empty, and nobody waits for it. Cursors before it move on; a live lease
-- that ends at it ends at the message before it, or is kept, done, until its holder acknowledges it.
-- The upkeep of epochs stays away meanwhile (its lock is held in share mode, waited for up to lock_ms), because it writes
-- down and copies what a closed child holds.
-- Tables written, in lock order: dead_letters, or: partitions, messages, messages_<epoch>_new, spans, cursors.
create or replace function delete_message(p_partition_id bigint, p_transaction_id text, p_lock_ms integer) returns text
language plpgsql set search_path from current set enable_seqscan = off
    set plan_cache_mode = force_generic_plan as $$
declare
    v_part      partitions;
    v_offset    bigint;
    v_epoch     integer;
    v_next      bigint;
    v_previous  bigint;
    s           record;
    c           record;
begin
    delete from dead_letters d where d.transaction_id = p_transaction_id and d.partition_id = p_partition_id;
    if found then
        return 'dead_letters';
    end if;

    perform set_config('lock_timeout', p_lock_ms || 'ms', true);
    perform pg_advisory_xact_lock_shared(hashtextextended('queen migrate ' || current_schema(), 0));
    select * into v_part from partitions p where p.partition_id = p_partition_id for no key update;
    if not found then
        return null;
    end if;
    select m."offset", m.epoch into v_offset, v_epoch
      from messages m
     where m.transaction_id = p_transaction_id and m.partition_id = p_partition_id
       and (m."offset" < 0 or m."offset" >= v_part.first_offset)
     order by m."offset" desc limit 1;
    if v_offset is null then
        return null;
    end if;
    execute format('delete from messages_%s m where m.partition_id = $1 and m."offset" = $2', v_epoch)
      using p_partition_id, v_offset;
    if to_regclass(format('messages_%s_new', v_epoch)) is not null then
        execute format('delete from messages_%s_new m where m.partition_id = $1 and m."offset" = $2', v_epoch)
          using p_partition_id, v_offset;
    end if;
    if v_offset < 0 then
        return 'message';
    end if;

    -- What is written down of the child has to stay true at its ends: epoch_of() counts on it.
    if exists (select from spans t where t.epoch = v_epoch and t.partition_id = p_partition_id
                  and v_offset in (t.first_offset, t.last_offset)) then
        execute format(
            'select a."offset" as first_offset, b."offset" as last_offset, b.created_at as last_at
               from (select m."offset" from messages_%1$s m where m.partition_id = $1 and m."offset" >= 0
                      order by m.partition_id, m."offset" limit 1) a,
                    (select m."offset", m.created_at from messages_%1$s m where m.partition_id = $1 and m."offset" >= 0
                      order by m.partition_id desc, m."offset" desc limit 1) b', v_epoch)
           into s using p_partition_id;
        if s.last_offset is null then
            delete from spans t where t.epoch = v_epoch and t.partition_id = p_partition_id;
        else
            update spans t set first_offset = s.first_offset, last_offset = s.last_offset, last_at = s.last_at
             where t.epoch = v_epoch and t.partition_id = p_partition_id;
        end if;
    end if;

    for c in
        select t.consumer_group, t.acked from cursors t
         where t.partition_id = p_partition_id and t.lease_end = v_offset and t.acked < v_offset
           and t.lease_id is not null and t.lease_until > now()
         order by t.consumer_group for no key update
    loop
        -- A lease lies in one child.
        execute format('select m."offset" from messages_%s m
                         where m.partition_id = $1 and m."offset" > $2 and m."offset" < $3
                         order by m.partition_id desc, m."offset" desc limit 1', v_epoch)
           into v_previous using p_partition_id, c.acked, v_offset;
        update cursors t
           set lease_end = coalesce(v_previous, v_offset),
               acked = case when v_previous is null then v_offset else t.acked end
         where t.partition_id = p_partition_id and t.consumer_group = c.consumer_group;
    end loop;
    if v_offset = v_part.first_offset then
        v_next := v_part.next_offset;
        v_epoch := epoch_of(p_partition_id, v_offset);
        if v_epoch is not null then
            execute format('select m."offset" from messages_%s m where m.partition_id = $1 and m."offset" >= $2
                             order by m.partition_id, m."offset" limit 1', v_epoch)
               into v_next using p_partition_id, v_offset;
        end if;
        perform hide(array[p_partition_id], array[coalesce(v_next, v_part.next_offset)]);
    end if;
    perform skip_gaps(array_agg(t.partition_id), array_agg(t.consumer_group))
       from cursors t where t.partition_id = p_partition_id and t.acked = v_offset - 1;
    return 'message';
end
$$;
