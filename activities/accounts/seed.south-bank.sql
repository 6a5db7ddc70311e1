-- The accounts that South Bank opens with.
with opening (id, owner, currency, balance) as (
  values ('bob',  'Bob',  'EUR', 100000),
         ('dave', 'Dave', 'EUR',  10000),
         ('erin', 'Erin', 'USD',  75000)
), opened as (
  insert into account (id, owner, currency, balance) select * from opening
  on conflict (id) do nothing
  returning id, balance
)
insert into entry (account, kind, amount, transaction_id, branch_id)
select id, 'opening', balance, 'opening', id from opened;
