-- The messages that went out. A row is committed after its message was handed to the mail server, so a message can have gone
-- out without a row, but there is no row without a message.
create table if not exists message (
  -- The Message-ID header, the same for every attempt at the same message.
  id             text        primary key,
  kind           text        not null check (kind in ('confirmation', 'cancellation')),
  order_id       text        not null check (order_id ~ '^[A-Z0-9-]{1,64}$'),
  recipient      text        not null,
  transaction_id text        not null,
  branch_id      text        not null,
  sent_at        timestamptz not null default clock_timestamp(),
  unique (transaction_id, branch_id, kind)
);
