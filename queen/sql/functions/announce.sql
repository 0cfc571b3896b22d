-- announce(instance_id, number, news, payload) → void
-- Tells the other servers something: a row for those that read, a notification for those that listen on the channel
-- named as the schema. `payload` is `news` itself, or a shorter text that says to read the row (a notification holds
-- less than 8,000 bytes). A call of its own and never part of a push: a notification makes commits wait for each other.
-- The commit is not waited for (synchronous_commit): these are hints.
-- Tables written: changes_0 or changes_1, by turns of 30 seconds.
create or replace function announce(p_instance_id uuid, p_number bigint, p_news text, p_payload text) returns void
language plpgsql set search_path from current as $$
declare
    v_now timestamptz := clock_timestamp();
begin
    perform set_config('synchronous_commit', 'off', true);
    if floor(extract(epoch from v_now) / 30)::bigint % 2 = 0 then
        insert into changes_0 values (v_now, p_number, p_instance_id, p_news);
    else
        insert into changes_1 values (v_now, p_number, p_instance_id, p_news);
    end if;
    perform pg_notify(current_schema(), p_payload);
end
$$;
