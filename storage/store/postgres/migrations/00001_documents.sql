-- +goose Up

-- A document. Its key is a hash of kind and id: short, of fixed length, and
-- known to the client, which so needs no look-up before it writes entries.
CREATE TABLE document (
    key      uuid             PRIMARY KEY,
    kind     text COLLATE "C" NOT NULL,
    id       text COLLATE "C" NOT NULL,
    revision bigint           NOT NULL, -- 0 or less only within a transaction
    due      bigint,                    -- milliseconds since 1970; NULL is no work
    owner    text COLLATE "C" NOT NULL,
    summary  bytea,
    places   bytea[]          NOT NULL, -- the keys of its entries
    body     bytea
) WITH (toast_tuple_target = 4080); -- most documents stay in one piece and unpacked

CREATE INDEX document_due ON document (kind, due) WHERE due IS NOT NULL;

-- A place of a document in an index. The key is hash(kind, index, partition),
-- the sort value and the id, so that a page is one range of keys. Most entries
-- hold what a list shows, so that a page needs no other row.
CREATE TABLE entry (
    key      bytea PRIMARY KEY,
    document uuid  NOT NULL, -- document.key
    cover    bytea,
    revision bigint,         -- NULL: what is shown stands in document
    summary  bytea           -- NULL: it is the cover
);

-- A partition that a bound was set for. Who checks a bound locks its row first.
CREATE TABLE bounded (
    prefix uuid PRIMARY KEY
);
