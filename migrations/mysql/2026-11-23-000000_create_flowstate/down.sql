DROP TABLE IF EXISTS flowstate_artefacts;
DROP TABLE IF EXISTS flowstate_transitions;
DROP TABLE IF EXISTS flowstate_flows;
DROP TABLE IF EXISTS flowstate_migrations;
