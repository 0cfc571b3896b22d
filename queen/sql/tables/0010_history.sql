-- What those who look for trouble want to know of days gone by: written rarely, and bounded.

-- How dear the calls of the message plane were, by the hour: the leader adds what pg_stat_statements counted, every few
-- minutes while there is work. `name` is the function that is called; the pops of all epochs are one. Kept for a week, so
-- that a slow day is compared with the days before it. Sums of several servers that led in one hour add up.
create table statement_hours (
    bucket          timestamptz not null,
    calls           bigint not null,
    total_ms        double precision not null,
    blocks          double precision not null,  -- shared blocks hit and read
    name            text not null,
    primary key (name, bucket)
);

-- When servers started and ended, the latest 200. A row without `ended_at` of a server that no longer runs tells that it
-- was killed, or that the database was away when it ended.
create table server_starts (
    instance_id     uuid primary key,
    started_at      timestamptz not null default clock_timestamp(),
    ended_at        timestamptz,
    port            integer not null,
    worker          integer not null,           -- 0: the only process of its server
    hostname        text not null,
    version         text not null
);
