-- Try-confirm-cancel. A branch that reserves has states of its own, so that nothing else takes what is only reserved for done.
alter table txn.branch drop constraint branch_state_check;
-- tried:     reserved, `result` is what the caller was told
-- confirmed: the reservation is final
-- cancelled: the reservation was given back
alter table txn.branch add constraint branch_state_check
  check (state in ('applied', 'refused', 'compensated', 'fenced', 'tried', 'confirmed', 'cancelled'));

-- What is reserved, and everything that recovery needs to confirm or cancel it without its coordinator. Written with the try, in
-- the same local transaction, and removed with the confirmation or cancellation.
create table txn.reservation (
  transaction_id  text        not null,
  branch_id       text        not null,
  operation       text        not null,
  -- The operation needs it again.
  input           json        not null,
  request_hash    text,
  -- Names of the participant that has the register, and of this one.
  register        text        not null,
  participant     text        not null,
  -- How long the caller means to hold it. Not a limit: only the register can end a reservation.
  hold_ms         bigint,
  -- Of Temporal: its name, and its unique id where the worker knew it.
  namespace       text,
  namespace_id    text,
  workflow_id     text,
  created_at      timestamptz not null default clock_timestamp(),
  primary key (transaction_id, branch_id)
);

create index reservation_created_at on txn.reservation (created_at);
