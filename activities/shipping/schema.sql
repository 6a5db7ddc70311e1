-- Shipments, and the regions that the carrier does not go to.
create table if not exists undeliverable_region (
  -- A country, and then all of it, or one of its parts: ISO 3166-1 or 3166-2.
  region text primary key check (region ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$')
);

create sequence if not exists tracking_number;

create table if not exists shipment (
  id              uuid        primary key default gen_random_uuid(),
  order_id        text        not null check (order_id ~ '^[A-Z0-9-]{1,64}$'),
  tracking_number text        not null unique default 'TT' || to_char(nextval('tracking_number'), 'FM000000000000'),
  status          text        not null default 'CREATED' check (status in ('CREATED', 'CANCELLED')),
  region          text        not null check (region ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$'),
  -- Personal data. Null while only the order's own service knows it.
  address         jsonb,
  transaction_id  text        not null,
  branch_id       text        not null,
  created_at      timestamptz not null default clock_timestamp(),
  unique (transaction_id, branch_id)
);

-- An order is on its way once.
create unique index if not exists shipment_of_order on shipment (order_id) where status = 'CREATED';
