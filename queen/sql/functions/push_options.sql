-- push_options(options) → jsonb
-- All options of a queue, from those that were set, if a push has to know one of them (a maxSize, encryption); else null,
-- as nearly always.
create or replace function push_options(p_options jsonb) returns jsonb
language sql immutable set search_path from current as $$
    select case when (p_options ->> 'maxSize')::bigint > 0 or (p_options ->> 'encryptionEnabled')::boolean
                then default_options() || p_options end
$$;
