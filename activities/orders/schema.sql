-- Orders of the shop. An order is never deleted: one that came to nothing is CANCELLED.
create table if not exists customer_order (
  id             text        primary key check (id ~ '^[A-Z0-9-]{1,64}$'),
  customer       text        not null,
  status         text        not null default 'PENDING' check (status in ('PENDING', 'CONFIRMED', 'SHIPPED', 'CANCELLED')),
  total          bigint      not null check (total between 1 and 9007199254740991),
  currency       text        not null check (currency ~ '^[A-Z]{3}$'),
  -- What other services know it by.
  payment        text,
  reservation    text,
  -- Every writer adds one, so that a reader can tell whether the order is still what was read.
  version        integer     not null default 1 check (version > 0),
  transaction_id text        not null,
  branch_id      text        not null,
  created_at     timestamptz not null default clock_timestamp(),
  unique (transaction_id, branch_id)
);

-- CARD: paid as it is ordered. ACCOUNT: sent an invoice.
alter table customer_order add column if not exists terms text not null default 'CARD' check (terms in ('CARD', 'ACCOUNT'));

create table if not exists order_item (
  customer_order text    not null references customer_order,
  sku            text    not null,
  quantity       integer not null check (quantity > 0),
  primary key (customer_order, sku)
);

-- What the staff see of orders on account: a projection of their events, made anew from them at any time.
create table if not exists order_summary (
  id         text        primary key,
  customer   text        not null,
  pieces     integer     not null,
  total      bigint      not null,
  currency   text        not null,
  status     text        not null,
  note       text,
  created_at timestamptz not null,
  settled_at timestamptz
);

create or replace view invariant_violation (invariant, subject, details) as
  select 'an order has items', id, status
    from customer_order
   where not exists (select from order_item where customer_order = customer_order.id);
