DROP TABLE IF EXISTS flowstate_database;
DROP TABLE IF EXISTS flowstate_labels;
DROP TABLE IF EXISTS flowstate_workers;
DROP TABLE IF EXISTS flowstate_definitions;
DROP TABLE IF EXISTS flowstate_artefacts;
DROP TABLE IF EXISTS flowstate_transitions;
DROP TABLE IF EXISTS flowstate_flows;
DROP TABLE IF EXISTS flowstate_migrations;
