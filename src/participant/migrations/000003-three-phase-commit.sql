-- Three-phase commit. A prepared transaction shows nothing of what is in it, and cannot be written to again: that its branch is
-- pre-committed is kept beside it, committed before it is acknowledged, and goes when the branch has ended.
alter table txn.preparation add column pre_committed_at timestamptz;
