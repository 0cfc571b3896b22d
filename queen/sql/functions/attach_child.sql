-- attach_child(epoch) → void
-- Makes the table messages_<epoch>, as create_child() left it, a child of `messages`.
create or replace function attach_child(p_epoch integer) returns void
language plpgsql set search_path from current as $$
begin
    execute format('alter table messages attach partition messages_%1$s for values in (%1$s)', p_epoch);
    execute format('alter table messages_%s drop constraint epoch_is', p_epoch);
end
$$;
