-- +goose Up

-- The terms of documents, each as 16 hexadecimal digits: which documents have a
-- term is all that is kept. A rowid is document.number.
CREATE VIRTUAL TABLE term USING fts5(terms, content='', contentless_delete=1, detail=none, tokenize='ascii');

-- The same, document by document, for those who check it.
CREATE VIRTUAL TABLE term_instance USING fts5vocab(term, instance);
