-- Circuits: how each worker sees what it calls, and what operators say of it. Nothing here decides about a transaction.
create table txn.circuit (
  worker        text        not null check (length(worker) between 1 and 200),
  circuit       text        not null check (length(circuit) between 1 and 63),
  state         text        not null check (state in ('closed', 'half-open', 'open', 'isolated')),
  -- How many tenants are not served.
  cut_off       integer     not null check (cut_off >= 0),
  since         timestamptz not null,
  half_open_at  timestamptz,
  -- A worker that was killed leaves its rows: what was not seen for a while is history.
  seen_at       timestamptz not null default clock_timestamp(),
  primary key (worker, circuit)
);

-- Only ever added to: the last one of a circuit counts, and all of them are the record of who did what.
create table txn.circuit_ruling (
  id        bigint      generated always as identity primary key,
  circuit   text        not null check (length(circuit) between 1 and 63),
  ruling    text        not null check (ruling in ('isolate', 'close')),
  by        text        not null check (length(by) between 1 and 500),
  reason    text        not null check (length(reason) between 1 and 2000),
  ruled_at  timestamptz not null default clock_timestamp()
);

create index circuit_ruling_circuit on txn.circuit_ruling (circuit, id desc);
