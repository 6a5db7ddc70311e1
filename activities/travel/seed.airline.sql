-- Flights and their seats.
insert into offer (id, capacity, available)
values ('LIS-900', 180, 180),
       ('OSL-204',   2,   2)
on conflict (id) do nothing;
