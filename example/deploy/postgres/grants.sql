-- The least rights of two roles, for the rules of the example shop. To be run by the owner of the tables, after the migration:
--   CREATE ROLE shop_web LOGIN PASSWORD '…'; CREATE ROLE shop_worker LOGIN PASSWORD '…';
GRANT USAGE ON SCHEMA public TO shop_web, shop_worker;

-- A web process writes deadlines, and what "pause" and "extend" keep beside them. It moves no order by a timer.
GRANT SELECT, UPDATE ("confirmDueAt") ON orders TO shop_web;

-- A worker moves orders: the status, the deadline, "updatedAt", and whatever "set" and your own "run" write.
GRANT SELECT, UPDATE (status, "confirmDueAt", "updatedAt") ON orders TO shop_worker;

-- Who is there.
GRANT SELECT, INSERT, UPDATE, DELETE ON order_timers_processes TO shop_web, shop_worker;

-- What people do by hand is recorded, and never changed. (prune, which removes old records, is for the owner.)
GRANT SELECT, INSERT ON order_timers_actions TO shop_web, shop_worker;

-- What is held. Without the right a worker settles nothing, since it could not see a hold.
GRANT SELECT, INSERT, UPDATE ON order_timers_holds TO shop_web, shop_worker;

-- What is moved in bulk: by a call or the command, with the rights of a web process. Workers and "status" tell of a run that was left.
GRANT SELECT, INSERT, UPDATE ON order_timers_runs TO shop_web;
GRANT SELECT ON order_timers_runs TO shop_worker;

-- Only for rules with "verify", which have this table:
-- GRANT SELECT, INSERT, UPDATE, DELETE ON order_timers_unverified TO shop_web, shop_worker;

-- Only for rules with "history" or "brake". A web process needs the brake for release(), health and metrics, and shows the history on the admin page;
-- a run in bulk adds to it.
GRANT SELECT, INSERT, UPDATE ON order_timers_history TO shop_worker;
GRANT SELECT, INSERT ON order_timers_history TO shop_web;
GRANT SELECT, INSERT, UPDATE ON order_timers_brakes TO shop_worker;
GRANT SELECT, UPDATE ON order_timers_brakes TO shop_web;

-- What the shop's own routes do.
GRANT INSERT, UPDATE (status, "updatedAt") ON orders TO shop_web;
GRANT USAGE ON SEQUENCE orders_id_seq TO shop_web;
