-- Messages that callers stored in transactions of their own, and that have no place in a partition yet: see enqueue().
-- They do not stand among `messages`, because whoever writes there holds locks for as long as its transaction: on a child
-- that is to be dropped, on a transaction id that a push brings too, on the name of a partition that is new.
create table enqueued (
    xid             bigint not null,                    -- the caller's transaction: pg_current_xact_id()
    number          bigint not null,                    -- ascends within that transaction
    trace_id        uuid,
    due_at          timestamptz,                        -- null: at once
    queue           text collate "C" not null,
    partition       text collate "C" not null,
    transaction_id  text collate "C" not null,
    payload         text not null,
    primary key (xid, number)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
comment on table enqueued is
    'Messages of committed transactions of callers, for the moment until they are placed. Who calls enqueue() may insert.';
