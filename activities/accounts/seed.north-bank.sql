-- The accounts that North Bank opens with.
with opening (id, owner, currency, balance, blocked) as (
  values ('alice', 'Alice', 'EUR', 100000, false),
         ('carol', 'Carol', 'EUR',   2500, false),
         ('grace', 'Grace', 'EUR',  50000, true),
         ('yuki',  'Yuki',  'JPY', 300000, false)
), opened as (
  insert into account (id, owner, currency, balance, blocked) select * from opening
  on conflict (id) do nothing
  returning id, balance
)
insert into entry (account, kind, amount, transaction_id, branch_id)
select id, 'opening', balance, 'opening', id from opened;
