-- Two-phase commit. The branch log needs nothing new: a branch's row is written inside the prepared transaction, so it
-- appears exactly when that commits, and the tombstone of an abort is a fenced row.

-- The register: one write-once row for each transaction whose first branch, the primary, is at this participant. Whoever
-- wants an outcome inserts his own or reads what is there, and obeys it.
create table txn.decision (
  -- A hash of the transaction id, because that is what a gid has room for: recovery comes here from the gid alone.
  transaction_key text        primary key check (transaction_key ~ '^[0-9a-f]{32}$'),
  -- Absent when recovery decided and knew nothing but the gid.
  transaction_id  text,
  outcome         text        not null check (outcome in ('commit', 'abort')),
  -- Why it is abort, as the one who wrote it said.
  reason          json,
  decided_by      text        not null,
  -- Hash of the input of the whole transaction, when its starter gave one.
  request_hash    text,
  -- Every branch and its participant, for those who have to look into it later.
  branches        json,
  decided_at      timestamptz not null default clock_timestamp()
);

create index decision_decided_at on txn.decision (decided_at);

-- What is decided stays decided, whoever asks. Only the purge may remove rows, when no branch can need them any more.
create function txn.keep_decision() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and current_setting('txn.purging', true) = 'on' then
    return old;
  end if;
  raise exception 'Nothing was changed: a decision is write-once' using errcode = '55006';
end
$$;

create trigger keep_decision before update or delete on txn.decision
  for each row execute function txn.keep_decision();
create trigger keep_decisions before truncate on txn.decision
  for each statement execute function txn.keep_decision();

-- Who asked for a branch to be prepared, committed before the branch begins: a prepared transaction shows nothing of what it
-- holds, and its gid has room for hashes only. Rows go when their branch has ended.
create table txn.preparation (
  gid             text        primary key,
  transaction_id  text        not null,
  branch_id       text        not null,
  operation       text        not null,
  input_hash      bytea       not null,
  request_hash    text,
  -- Name of the participant that has the register.
  register        text        not null,
  -- Of Temporal: its name, and its unique id where the worker knew it.
  namespace       text,
  namespace_id    text,
  workflow_id     text,
  created_at      timestamptz not null default clock_timestamp()
);

create index preparation_created_at on txn.preparation (created_at);

-- What a person finished by hand, against the register or without it.
create table txn.heuristic (
  id              bigint      generated always as identity primary key,
  gid             text        not null,
  transaction_key text        not null,
  transaction_id  text,
  branch_id       text,
  took            text        not null check (took in ('commit', 'abort')),
  -- What the register said then.
  decision        text        check (decision in ('commit', 'abort')),
  by              text        not null,
  reason          text        not null,
  at              timestamptz not null default clock_timestamp()
);

-- What a person has looked at and accepts: a branch did otherwise than decided, or without a decision, and was put right by
-- other means, or may stand. Rows are only ever added.
create table txn.acceptance (
  id              bigint      generated always as identity primary key,
  transaction_key text        not null,
  -- A hash of the branch id, as in a gid: of some branches nothing else is known.
  branch_key      text        not null,
  transaction_id  text,
  branch_id       text,
  -- What the branch amounts to. Another deed of it is not accepted with this one.
  took            text        not null check (took in ('commit', 'abort')),
  -- What the register said then.
  decision        text        check (decision in ('commit', 'abort')),
  by              text        not null,
  reason          text        not null,
  at              timestamptz not null default clock_timestamp()
);
