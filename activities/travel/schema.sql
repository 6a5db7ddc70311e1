-- What can be booked, and how many places of it are in which state.
create table if not exists offer (
  id        text    primary key check (id ~ '^[A-Z0-9-]{1,32}$'),
  capacity  integer not null check (capacity >= 0),
  available integer not null check (available >= 0),
  -- Held for somebody who is still thinking.
  pending   integer not null default 0 check (pending >= 0),
  booked    integer not null default 0 check (booked >= 0),
  check (available + pending + booked = capacity)
);

create table if not exists booking (
  id             uuid        primary key default gen_random_uuid(),
  offer          text        not null references offer,
  quantity       integer     not null check (quantity > 0),
  -- PENDING:   held, can go either way
  -- CONFIRMED: booked
  -- CANCELLED: given back
  status         text        not null default 'PENDING' check (status in ('PENDING', 'CONFIRMED', 'CANCELLED')),
  transaction_id text        not null,
  branch_id      text        not null,
  held_at        timestamptz not null default clock_timestamp(),
  unique (transaction_id, branch_id)
);

create index if not exists booking_offer on booking (offer);

create or replace view invariant_violation (invariant, subject, details) as
  select 'what is pending and booked is what the bookings say', o.id,
         format('pending %s and booked %s, bookings %s and %s', o.pending, o.booked, b.pending, b.booked)
    from offer o
   cross join lateral (
     select coalesce(sum(quantity) filter (where status = 'PENDING'), 0)   as pending,
            coalesce(sum(quantity) filter (where status = 'CONFIRMED'), 0) as booked
       from booking where booking.offer = o.id) b
   where o.pending <> b.pending or o.booked <> b.booked;
