-- Cards, what was charged to them and what was given back. Cards are known by token; no card number is ever stored here.
create table if not exists card (
  token        text   primary key check (token ~ '^tok_[a-z0-9_]{1,60}$'),
  currency     text   not null check (currency ~ '^[A-Z]{3}$'),
  credit_limit bigint not null check (credit_limit between 0 and 9007199254740991),
  -- Charges less refunds.
  charged      bigint not null default 0 check (charged >= 0 and charged <= credit_limit)
);

create table if not exists charge (
  id             uuid        primary key default gen_random_uuid(),
  card           text        not null references card,
  amount         bigint      not null check (amount > 0),
  transaction_id text        not null,
  branch_id      text        not null,
  charged_at     timestamptz not null default clock_timestamp(),
  unique (transaction_id, branch_id)
);

-- A refund gives back a whole charge, once.
create table if not exists refund (
  charge      uuid        primary key references charge,
  refunded_at timestamptz not null default clock_timestamp()
);

create or replace view invariant_violation (invariant, subject, details) as
  select 'what is charged to a card is its charges less its refunds', c.token,
         format('charged %s, charges less refunds %s', c.charged, coalesce(sum(k.amount), 0))
    from card c
    left join charge k on k.card = c.token and not exists (select from refund r where r.charge = k.id)
   group by c.token
  having c.charged <> coalesce(sum(k.amount), 0);
