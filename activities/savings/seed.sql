-- The savings accounts that the example opens with.
select txn.append_to_stream('alice', null, '[{"id": "opened-alice", "type": "Opened", "data": {"currency": "EUR"}}]');
select txn.append_to_stream('carol', null, '[{"id": "opened-carol", "type": "Opened", "data": {"currency": "EUR"}}]');
