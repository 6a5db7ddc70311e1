-- Cards to try: two that pay, one that soon does not, and one that is always declined.
insert into card (token, currency, credit_limit)
values ('tok_visa',       'EUR', 10000000),
       ('tok_mastercard', 'USD', 10000000),
       ('tok_student',    'EUR',     5000),
       ('tok_declined',   'EUR',        0)
on conflict (token) do nothing;
