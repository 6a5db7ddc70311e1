-- Further branches of the transaction that hold the lock together with `branch_id`. It goes with the last of them.
alter table txn.semantic_lock add column also_held_by text[] not null default '{}';
