-- The articles of the shop.
insert into stock (sku, stocked, available)
values ('BOOK-1', 100, 100),
       ('LAMP-1',  25,  25),
       ('DESK-1',   5,   5),
       ('SOFA-1',   0,   0)
on conflict (sku) do nothing;
