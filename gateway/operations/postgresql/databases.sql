-- Makes the roles of gateway and desk and their empty databases; a second run changes nothing.
-- Give each role a password (\password gateway) or a certificate: pg_hba.conf decides. The desk's database may be on
-- another server, and no gateway can connect to it.
SELECT 'CREATE ROLE gateway LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gateway') \gexec
SELECT 'CREATE ROLE desk LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'desk') \gexec
SELECT 'CREATE DATABASE reports OWNER gateway ENCODING ''UTF8'' TEMPLATE template0'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'reports') \gexec
SELECT 'CREATE DATABASE desk OWNER desk ENCODING ''UTF8'' TEMPLATE template0'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'desk') \gexec
REVOKE CONNECT ON DATABASE reports FROM PUBLIC;
REVOKE CONNECT ON DATABASE desk FROM PUBLIC;
-- `report-abuse-desk doctor --deep` reads every page of the desk's tables with amcheck, where the server has it.
\connect desk
SELECT 'CREATE EXTENSION IF NOT EXISTS amcheck' WHERE EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck') \gexec
SELECT format('GRANT EXECUTE ON FUNCTION %s TO desk', pg_proc.oid::regprocedure)
  FROM pg_proc JOIN pg_extension ON extname = 'amcheck' AND extnamespace = pronamespace
  WHERE proname IN ('verify_heapam', 'bt_index_check') \gexec
