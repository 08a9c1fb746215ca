package jsonwire

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Empty says whether a body that Decode has read gives a member as a text without
// characters. field is the member's path, as messages of constraints have it, such as
// changeSet.1.member.entity.type: names begin with a small letter, lists count from 1.
func Empty(body []byte, field string) bool {
	v := jsontext.Value(bytes.TrimSpace(body))
	for field != "" {
		step, rest, _ := strings.Cut(field, ".")
		switch v.Kind() {
		case '{':
			var members map[string]jsontext.Value
			if json.Unmarshal(v, &members) != nil {
				return false
			}
			v = members[capital(step)]
			if v == nil {
				v = members[step]
			}
		case '[':
			var elements []jsontext.Value
			n, err := strconv.Atoi(step)
			if err != nil || json.Unmarshal(v, &elements) != nil || n < 1 || n > len(elements) {
				return false
			}
			v = elements[n-1]
		default:
			return false
		}
		if v == nil {
			return false
		}
		// An element of a list or a map is called member behind its number or name.
		if field = strings.TrimPrefix(rest, "member."); field == "member" {
			field = ""
		}
	}
	return string(bytes.TrimSpace(v)) == `""`
}

// capital is a name with a large first letter.
func capital(name string) string {
	first, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + name[n:]
}
