-- Accounts of one bank and their ledger. Amounts are whole minor units of the account's currency.
create table if not exists account (
  id       text    primary key check (id ~ '^[A-Za-z0-9-]{1,64}$'),
  owner    text    not null,
  currency text    not null check (currency ~ '^[A-Z]{3}$'),
  -- The sum of the account's entries. The upper bound is the largest whole number that JSON carries exactly.
  balance  bigint  not null default 0 check (balance between 0 and 9007199254740991),
  -- Nothing may be moved by new transactions; what is under way may still be undone.
  blocked  boolean not null default false
);

-- Every change of a balance, never changed itself: what was undone has two entries.
create table if not exists entry (
  id             bigint      generated always as identity primary key,
  account        text        not null references account,
  kind           text        not null check (kind in ('opening', 'debit', 'credit', 'reversal')),
  amount         bigint      not null,
  transaction_id text        not null,
  branch_id      text        not null,
  booked_at      timestamptz not null default clock_timestamp(),
  check (case kind when 'debit' then amount < 0 when 'reversal' then amount <> 0 else amount > 0 end),
  -- One movement and at most one reversal for each branch of a transaction.
  unique (transaction_id, branch_id, kind)
);

create index if not exists entry_account on entry (account);

create or replace view invariant_violation (invariant, subject, details) as
  select 'no balance is negative', id, format('balance %s', balance)
    from account
   where balance < 0
  union all
  select 'a balance is the sum of its entries', a.id, format('balance %s, entries %s', a.balance, coalesce(sum(e.amount), 0))
    from account a left join entry e on e.account = a.id
   group by a.id
  having a.balance <> coalesce(sum(e.amount), 0)
  union all
  select 'a reversal takes back exactly what its branch did', r.account, format('entry %s', r.id)
    from entry r
   where r.kind = 'reversal'
     and not exists (
       select from entry e
        where e.transaction_id = r.transaction_id and e.branch_id = r.branch_id and e.kind <> 'reversal'
          and e.account = r.account and e.amount = -r.amount);
