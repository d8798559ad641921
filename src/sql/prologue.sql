-- Complain if the script is fed to psql instead of CREATE EXTENSION.
\echo Use "CREATE EXTENSION imp_push" to load this file. \quit

