-- Where one message stands, group by group.
-- Parameters: queue, partition, transaction_id. Returns a row per stored copy and cursor, at most 20:
--   message_offset, status, created_at; consumer_group, acked, lease_end, leased, deliveries (null without a cursor);
--   dead_for (the group for which it is a dead letter, or null)
-- Empty when it is not stored. Tables written: none.
select m."offset" as message_offset, m.status::text as status, m.created_at,
       c.consumer_group, c.acked, c.lease_end, c.lease_until > now() as leased, c.deliveries,
       (select min(d.consumer_group) from {schema}.dead_letters d
         where d.partition_id = m.partition_id and d."offset" = m."offset") as dead_for
  from {schema}.queues q
  join {schema}.partitions p on p.queue_id = q.queue_id
  join {schema}.messages m on m.transaction_id = %(transaction_id)s and m.partition_id = p.partition_id
  left join {schema}.cursors c on c.partition_id = p.partition_id
 where q.name = %(queue)s and p.name = %(partition)s
 order by 1, 4
 limit 20
