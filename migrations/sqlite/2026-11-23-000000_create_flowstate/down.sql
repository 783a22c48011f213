DROP TABLE flowstate_artefacts;
DROP TABLE flowstate_transitions;
DROP TABLE flowstate_flows;
DROP TABLE flowstate_migrations;
