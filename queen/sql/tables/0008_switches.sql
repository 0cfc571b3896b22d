-- What an operator turned on or off for all servers at once. `version` counts the changes, so that a server that reads
-- and hears of them in any order knows which is the newest.
create table switches (
    name        text primary key,
    is_on       boolean not null default false,
    version     bigint not null default 0,
    changed_at  timestamptz not null default clock_timestamp()
);
insert into switches (name) values ('pop_maintenance');
