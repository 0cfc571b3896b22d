-- default_options() → jsonb
-- Every queue option under its wire name with its default. The only home of these defaults.
create or replace function default_options() returns jsonb
language sql immutable parallel safe as $$
    select '{
        "leaseTime": 300, "retryLimit": 3, "retryDelay": 1000, "priority": 0, "maxSize": 0, "ttl": 3600,
        "deadLetterQueue": true, "dlqAfterMaxRetries": true, "delayedProcessing": 0, "windowBuffer": 0,
        "minPopWaitTime": 0, "retentionEnabled": false, "retentionSeconds": 0, "completedRetentionSeconds": 0,
        "maxWaitTimeSeconds": 0, "encryptionEnabled": false, "dedupWindowSeconds": 3600,
        "retentionSinkHold": "", "retentionSinkHoldMaxSeconds": 604800
    }'::jsonb
$$;
