-- Cars.
insert into offer (id, capacity, available)
values ('COMPACT', 40, 40),
       ('CABRIO',   0,  0)
on conflict (id) do nothing;
