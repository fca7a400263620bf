-- SPDX-License-Identifier: MIT
-- Copyright (c) 2026 The Cairn authors

-- sqlite: after the import of a table of orders (see bench/rows.py): indexes, groups, joins, updates, deletes.

create index orders_customer on orders (customer);
create table totals as select customer, count(*) as count, sum(amount) as amount from orders group by customer;
create index totals_amount on totals (amount);
update orders set note = note || ' checked' where cast(amount as real) > 500;
select count(*), sum(length(note)) from orders;
select sum(o.id * t.count) from orders o join totals t on o.customer = t.customer where t.amount > 500;
select group_concat(customer, ';') from (select customer from totals order by amount desc limit 500);
delete from orders where id % 3 = 0;
select count(*), count(distinct note) from orders;
with recursive walk(n, text) as
    (select 1, 'a' union all select n + 1, substr(text || n, -40) from walk where n < 100000)
select sum(length(text)) from walk;
