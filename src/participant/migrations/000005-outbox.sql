-- The transactional outbox. An event is written in the local transaction of the business rows, so it exists exactly when they do.

-- The writers' side of a key: how many events it has. The row stays locked until the writer's transaction ends, so versions
-- have no gap, and whoever sees a version can see all before it. No relay ever locks it.
create table txn.outbox_key (
  key      text   primary key,
  version  bigint not null
);

-- Events, never changed by the relay: what is left to publish is said in txn.outbox_queue.
create table txn.outbox (
  position       bigint      primary key generated always as identity,
  id             text        not null unique check (length(id) between 1 and 200),
  source         text        not null check (length(source) between 1 and 200),
  type           text        not null check (length(type) between 1 and 200),
  key            text        not null check (length(key) between 1 and 200),
  version        bigint      not null,
  subject        text        check (length(subject) between 1 and 1000),
  dataschema     text,
  -- json, not jsonb: names keep their order
  data           json,
  headers        json,
  traceparent    text,
  tracestate     text,
  -- The branch that wrote it, if one did.
  transaction_id text,
  branch_id      text,
  created_at     timestamptz not null default clock_timestamp()
);

-- What is not published yet. A relay works by this state and never by a position it has reached: a row that commits late, as
-- one of a prepared transaction may by days, is found when it is there.
create table txn.outbox_queue (
  key        text     not null,
  version    bigint   not null,
  position   bigint   not null,
  partition  smallint not null,
  -- Raised when a person edits the event: a slow relay that has published what it was before must not mark what it is now.
  edition    smallint not null default 0,
  -- Behind an event that cannot be published: see txn.outbox_dead_letter.
  parked     boolean  not null default false,
  primary key (key, version)
);

create index outbox_queue_ready on txn.outbox_queue (partition, position) where not parked;
create index outbox_queue_parked on txn.outbox_queue (key) where parked;

-- It grows and shrinks all the time: many updates must not wait for a fifth of a large table.
alter table txn.outbox_queue set (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000);
alter table txn.outbox_key set (fillfactor = 80);

-- Who relays a share of the keys. A new owner raises the epoch: a former one, that only was slow, is given no more rows.
create table txn.outbox_partition (
  partition  smallint    primary key,
  epoch      bigint      not null default 0,
  owner      text,
  owned_at   timestamptz
);

insert into txn.outbox_partition (partition) select generate_series(0, 15);

-- The event at which a key is parked.
create table txn.outbox_dead_letter (
  key        text        primary key,
  version    bigint      not null,
  position   bigint      not null,
  attempts   integer     not null,
  error      text        not null,
  parked_at  timestamptz not null default clock_timestamp()
);

-- What a person did about a dead letter.
create table txn.outbox_intervention (
  id           bigint      primary key generated always as identity,
  key          text        not null,
  version      bigint      not null,
  event_id     text        not null,
  action       text        not null check (action in ('retry', 'skip', 'edit')),
  actor        text        not null,
  reason       text        not null,
  -- The data before an edit.
  data_before  json,
  created_at   timestamptz not null default clock_timestamp()
);

-- Appends events, in the transaction that it is called in; for services in other languages too.
--
--   select txn.append_events('[{"source": "/orders", "type": "OrderCreated", "key": "order-1", "data": {"total": 100}}]');
--
-- Fields of an event: source, type, key; and as one likes id (a UUID by default), subject, dataschema, data, headers,
-- traceparent, tracestate, transaction_id, branch_id. Events of one key are published in the order in which they are appended.
-- Keys are locked in their order, so that two transactions that append to several keys in one call do not deadlock.
create function txn.append_events(events json) returns integer
language sql volatile as $$
  with given as (
    select *
      from rows from (json_to_recordset(events) as (
             id text, source text, type text, key text, subject text, dataschema text, data json, headers json,
             traceparent text, tracestate text, transaction_id text, branch_id text)) with ordinality as e
  ), counted as (
    select key, count(*) as events from given group by key
  ), counter as (
    insert into txn.outbox_key as k (key, version)
    select key, events from counted order by key
    on conflict (key) do update set version = k.version + excluded.version
    returning key, version
  ), appended as (
    insert into txn.outbox (id, source, type, key, version, subject, dataschema, data, headers, traceparent, tracestate,
                            transaction_id, branch_id)
    select coalesce(id, gen_random_uuid()::text), source, type, key,
           counter.version - counted.events + row_number() over (partition by key order by ordinality),
           subject, dataschema, data, headers, traceparent, tracestate, transaction_id, branch_id
      from given join counted using (key) join counter using (key)
     order by ordinality
    returning position, key, version
  ), queued as (
    insert into txn.outbox_queue (key, version, position, partition)
    select key, version, position, hashtextextended(key, 0) & 15 from appended
  )
  select count(*)::integer from appended
$$;
