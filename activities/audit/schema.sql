-- Who moved what, for auditors. Rows are only ever added: a record that turned out void stays and gets a voiding.
create table if not exists record (
  id             uuid        primary key default gen_random_uuid(),
  kind           text        not null check (kind ~ '^[a-z][a-z0-9-]{0,62}$'),
  from_party     text        not null,
  to_party       text        not null,
  amount         bigint      not null check (amount between 1 and 9007199254740991),
  currency       text        not null check (currency ~ '^[A-Z]{3}$'),
  transaction_id text        not null,
  branch_id      text        not null,
  recorded_at    timestamptz not null default clock_timestamp(),
  unique (transaction_id, branch_id)
);

create table if not exists voiding (
  record    uuid        primary key references record,
  voided_at timestamptz not null default clock_timestamp()
);

create or replace view standing_record as
  select * from record r where not exists (select from voiding v where v.record = r.id);

create or replace function forbid_change() returns trigger language plpgsql as $$
begin
  raise exception 'the audit trail is append-only: % on % is not allowed', tg_op, tg_table_name;
end $$;

create or replace trigger append_only before update or delete or truncate on record
  for each statement execute function forbid_change();
create or replace trigger append_only before update or delete or truncate on voiding
  for each statement execute function forbid_change();
