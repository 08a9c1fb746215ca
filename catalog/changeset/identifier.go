package changeset

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// identifier is a parsed Entity.Identifier of a request: an entity with or
// without a revision, or a reference to another change of the set.
type identifier struct {
	id       string
	revision string // digits; "" if none was given
	change   string // the name of the change that is referred to, "" if none
}

// parseIdentifier reads ENTITY, ENTITY@REVISION or $CHANGE.Entity.Identifier.
func parseIdentifier(s string) (identifier, bool) {
	if name, ok := reference(s); ok {
		return identifier{change: name}, true
	}
	id, revision, given := strings.Cut(s, "@")
	if !isWord(id) || given && !isNumber(revision) {
		return identifier{}, false
	}
	return identifier{id: id, revision: revision}, true
}

// at says whether the identifier names this revision: any, if it has none.
// Revisions are compared as numbers, so 02 is 2.
func (i identifier) at(revision int64) bool {
	if i.revision == "" {
		return true
	}
	digits := strings.TrimLeft(i.revision, "0")
	return digits == strconv.FormatInt(revision, 10)
}

const referenceTail = ".Entity.Identifier"

// reference reads $CHANGE.Entity.Identifier.
func reference(s string) (name string, ok bool) {
	name, ok = strings.CutPrefix(s, "$")
	if !ok {
		return "", false
	}
	name, ok = strings.CutSuffix(name, referenceTail)
	return name, ok && isWord(name)
}

// isWord says whether s is one or more of [A-Za-z0-9_-].
func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return s != ""
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// mayRefer is a quick look: false means that a document has no references.
func mayRefer(document []byte) bool {
	return bytes.IndexByte(document, '$') >= 0 || bytes.Contains(document, []byte(`\u0024`))
}

// references returns the names of the changes that a Details document refers
// to: by strings that are a reference as a whole, anywhere in it but in names.
func references(document []byte) ([]string, error) {
	if !mayRefer(document) {
		return nil, nil
	}
	var names []string
	err := eachString(document, nil, func(name string) (string, bool) {
		names = append(names, name)
		return "", false
	})
	return names, err
}

// substitute puts the entity's id in the place of every reference for which
// resolve has one.
func substitute(document []byte, resolve func(name string) (string, bool)) ([]byte, error) {
	if !mayRefer(document) {
		return document, nil
	}
	var b bytes.Buffer
	if err := eachString(document, &b, resolve); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// eachString copies a document to w (nil: nowhere) and replaces references.
func eachString(document []byte, w io.Writer, replace func(name string) (string, bool)) error {
	dec := jsontext.NewDecoder(bytes.NewReader(document))
	enc := jsontext.NewEncoder(io.Discard)
	if w != nil {
		enc = jsontext.NewEncoder(w)
	}
	for {
		token, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if token.Kind() == '"' && !isName(dec) {
			if name, ok := reference(token.String()); ok {
				if id, ok := replace(name); ok {
					token = jsontext.String(id)
				}
			}
		}
		if err := enc.WriteToken(token); err != nil {
			return err
		}
	}
}

// isName says whether the token that was just read is the name of an object's member.
func isName(dec *jsontext.Decoder) bool {
	kind, length := dec.StackIndex(dec.StackDepth())
	return kind == '{' && length%2 == 1
}
