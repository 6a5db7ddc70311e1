-- Savings accounts have no table of their own: what an account holds is what its events in txn.event add up to.
create or replace view movement as
  select stream as account, version, created_at as moved_at, type,
         (data ->> 'amount')::bigint * case type when 'Deposited' then 1 when 'Withdrawn' then -1 else 0 end as amount,
         transaction_id
    from txn.event
   where type in ('Deposited', 'Withdrawn');

create or replace view invariant_violation (invariant, subject, details) as
  select 'a savings account never held less than nothing', account, format('%s after version %s', balance, version)
    from (select account, version, sum(amount) over (partition by account order by version) as balance from movement) m
   where balance < 0;
