-- Stock of each article, and what is put aside for orders.
create table if not exists stock (
  -- Bytewise order, the same as in code: rows are locked in the order of their sku, so that two orders never deadlock.
  sku       text    collate "C" primary key check (sku ~ '^[A-Z0-9-]{1,32}$'),
  stocked   integer not null check (stocked >= 0),
  available integer not null check (available >= 0),
  reserved  integer not null default 0 check (reserved >= 0),
  sold      integer not null default 0 check (sold >= 0)
);

create table if not exists reservation (
  id             uuid        primary key default gen_random_uuid(),
  -- RESERVED:  put aside, can go either way
  -- RELEASED:  back in stock
  -- COMMITTED: sold
  status         text        not null default 'RESERVED' check (status in ('RESERVED', 'RELEASED', 'COMMITTED')),
  transaction_id text        not null,
  branch_id      text        not null,
  reserved_at    timestamptz not null default clock_timestamp(),
  unique (transaction_id, branch_id)
);

create table if not exists reservation_item (
  reservation uuid    not null references reservation,
  sku         text    collate "C" not null references stock,
  quantity    integer not null check (quantity > 0),
  primary key (reservation, sku)
);

-- What the order service has told of each order, in the order in which it came.
create table if not exists heard (
  arrival        bigint  generated always as identity primary key,
  customer_order text    not null,
  sequence       bigint  not null check (sequence > 0),
  type           text    not null,
  unique (customer_order, sequence)
);

create or replace view invariant_violation (invariant, subject, details) as
  select 'every piece is available, reserved or sold', sku,
         format('stocked %s, available %s, reserved %s, sold %s', stocked, available, reserved, sold)
    from stock
   where available + reserved + sold <> stocked
  union all
  select 'what is reserved and sold is what the reservations say', s.sku,
         format('reserved %s and sold %s, reservations %s and %s', s.reserved, s.sold, i.reserved, i.sold)
    from stock s
   cross join lateral (
     select coalesce(sum(quantity) filter (where status = 'RESERVED'), 0)  as reserved,
            coalesce(sum(quantity) filter (where status = 'COMMITTED'), 0) as sold
       from reservation_item join reservation on reservation.id = reservation
      where sku = s.sku) i
   where s.reserved <> i.reserved or s.sold <> i.sold
  union all
  select 'a reservation has items', id::text, status
    from reservation
   where not exists (select from reservation_item where reservation = reservation.id)
  union all
  select 'what is told of an order comes once, in order, and all of it', customer_order,
         format('sequence %s came as number %s', sequence, place)
    from (select customer_order, sequence, row_number() over (partition by customer_order order by arrival) as place from heard) h
   where sequence <> place;
