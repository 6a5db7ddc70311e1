-- The branch log: one row for each branch this participant has ever been asked for, written in the same local transaction
-- as the business rows. Its primary key is the fence: two attempts of one branch meet there and wait for each other.
create table txn.branch (
  transaction_id text        not null,
  branch_id      text        not null,
  operation      text        not null,
  -- applied:     the effect is there, `result` is what the caller was told
  -- refused:     the business said no, `refusal` is what the caller was told
  -- compensated: the effect was there and was undone
  -- fenced:      given up before it happened; it can never happen any more
  state          text        not null check (state in ('applied', 'refused', 'compensated', 'fenced')),
  input_hash     bytea,
  request_hash   text,
  -- json, not jsonb: a repeated answer is the first one to the byte
  result         json,
  refusal        json,
  xid            xid8        not null default pg_current_xact_id(),
  -- Who asked, so that the purge can find out whether the transaction is still open.
  namespace      text,
  workflow_id    text,
  created_at     timestamptz not null default clock_timestamp(),
  ended_at       timestamptz,
  primary key (transaction_id, branch_id)
);

create index branch_created_at on txn.branch (created_at);

-- Semantic locks: a saga's mark on a record that other sagas must not build on yet. Owned by a transaction, never by a clock.
create table txn.semantic_lock (
  resource       text        primary key,
  transaction_id text        not null,
  branch_id      text        not null,
  created_at     timestamptz not null default clock_timestamp()
);

create index semantic_lock_transaction on txn.semantic_lock (transaction_id);
