-- Messages that have no place in the order yet, because they are scheduled for later: they stand in `messages` under
-- negative offsets with status 'scheduled'. The numbers are handed out here, once each, under the partition's row lock,
-- so that ordinary pushes carry no column for it. A partition that never had such a message has no row.
create table scheduled_places (
    partition_id    bigint primary key,
    next_place      bigint not null             -- the next negative offset; counts down
);

-- The id a dead letter's message was announced under, when its place in the order came later.
alter table dead_letters add column first_id uuid;
