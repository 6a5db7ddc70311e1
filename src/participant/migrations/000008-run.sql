-- Which run of the workflow asked first. A later run of the same workflow, after Temporal has forgotten the earlier one or somebody
-- has reset it, knows nothing of what that one has told its caller, and must not undo what was committed.
alter table txn.branch add column run_id text;
