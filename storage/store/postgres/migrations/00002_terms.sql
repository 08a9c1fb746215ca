-- +goose Up

-- The terms of documents, by their hashes, in their order. It stands beside
-- document because that is written often, and terms seldom change.
CREATE TABLE term (
    document uuid     PRIMARY KEY, -- document.key
    terms    bigint[] NOT NULL
);

-- What waits to be put in order is read by each search, so it is kept short.
CREATE INDEX term_terms ON term USING gin (terms) WITH (gin_pending_list_limit = 256);
