-- +goose Up

-- A document. What lists and claims read stands before the body, which may
-- continue on pages of its own.
CREATE TABLE document (
    number   INTEGER PRIMARY KEY, -- in the order of creation; never leaves the database
    kind     TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    due      INTEGER,             -- milliseconds since 1970; NULL is no work
    owner    TEXT    NOT NULL,
    summary  BLOB,
    places   BLOB,                -- its entries without the id, as places.go writes them
    body     BLOB
) STRICT;

CREATE UNIQUE INDEX document_name ON document (kind, id);

CREATE INDEX document_due ON document (kind, due) WHERE due IS NOT NULL;

-- A place of a document in an index. The key is hash(kind, index, partition),
-- the sort value and the id, so that a page is one range of keys.
CREATE TABLE entry (
    key      BLOB    NOT NULL PRIMARY KEY,
    document INTEGER NOT NULL, -- document.number
    cover    BLOB
) STRICT, WITHOUT ROWID;
