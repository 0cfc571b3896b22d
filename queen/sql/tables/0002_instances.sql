-- Servers that run, which of them leads, and what they tell one another.

-- One row per running server, renewed every second; no index on a changing column, so that every renewal is HOT.
create table instances (
    instance_id     uuid primary key,
    started_at      timestamptz not null default clock_timestamp(),
    seen_at         timestamptz not null,
    pool_size       integer not null,
    version         text not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on table instances is 'One row per running server; a row that is not renewed is forgotten.';

-- The right to do the work that one server does for all. It ends by itself: a session lock would not survive a
-- transaction pooler.
create table leader (
    only_row        boolean primary key default true check (only_row),
    instance_id     uuid,
    lease_until     timestamptz not null default '-infinity'
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
insert into leader default values;

-- What servers told one another lately. Two tables that take turns of 30 seconds: the one at rest is emptied, so nothing
-- is deleted by the row. Unlogged: after a crash every server looks at everything anyway. An instance numbers its
-- announcements and makes one at a time, so that a reader knows by the number what it has seen, and what it missed.
create unlogged table changes_0 (
    written_at      timestamptz not null,
    number          bigint not null,
    instance_id     uuid not null,
    news            text not null                       -- JSON; queen/engine/news.py knows its form
);
create index idx_changes_0_written on changes_0 (written_at);
create unlogged table changes_1 (like changes_0);
create index idx_changes_1_written on changes_1 (written_at);
