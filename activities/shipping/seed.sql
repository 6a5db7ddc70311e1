-- Where the carrier does not go: Antarctica, and Svalbard in Norway.
insert into undeliverable_region (region)
values ('AQ'),
       ('NO-21')
on conflict (region) do nothing;
