-- Makes the gateway's role and its empty database; a second run changes nothing.
-- Give the role a password (\password gateway) or a certificate: pg_hba.conf decides.
SELECT 'CREATE ROLE gateway LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gateway') \gexec
SELECT 'CREATE DATABASE reports OWNER gateway ENCODING ''UTF8'' TEMPLATE template0'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'reports') \gexec
REVOKE CONNECT ON DATABASE reports FROM PUBLIC;
