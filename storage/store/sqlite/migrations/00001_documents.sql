-- +goose Up

-- What claims, and some lists, need of a document. The rows are short, so that a
-- dozen stand on a page.
CREATE TABLE document (
    number   INTEGER PRIMARY KEY, -- in the order of creation; never leaves the database
    kind     TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    due      INTEGER,             -- milliseconds since 1970; NULL is no work
    owner    TEXT    NOT NULL,
    summary  BLOB
) STRICT;

CREATE UNIQUE INDEX document_name ON document (kind, id);

CREATE INDEX document_due ON document (kind, due) WHERE due IS NOT NULL;

-- The rest of it.
CREATE TABLE content (
    number INTEGER PRIMARY KEY, -- document.number
    places BLOB,                -- its entries without the id, as places.go writes them
    body   BLOB
) STRICT;

-- A place of a document in an index. The key is hash(kind, index, partition),
-- the sort value and the id, so that a page is one range of keys. Most entries
-- hold what a list shows, so that a page needs no other row.
CREATE TABLE entry (
    key      BLOB    NOT NULL PRIMARY KEY,
    document INTEGER NOT NULL, -- document.number
    cover    BLOB,
    revision INTEGER,          -- NULL: what is shown stands in document
    summary  BLOB
) STRICT, WITHOUT ROWID;
