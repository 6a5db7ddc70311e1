-- Rooms.
insert into offer (id, capacity, available)
values ('DOUBLE', 60, 60),
       ('SUITE',   1,  1)
on conflict (id) do nothing;
