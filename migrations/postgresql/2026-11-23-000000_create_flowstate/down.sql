DROP TABLE flowstate_database;
DROP TABLE flowstate_labels;
DROP TABLE flowstate_workers;
DROP TABLE flowstate_definitions;
DROP TABLE flowstate_artefacts;
DROP TABLE flowstate_transitions;
DROP TABLE flowstate_flows;
DROP TABLE flowstate_migrations;
