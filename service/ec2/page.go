package ec2

import (
	"encoding/base64"
	"strings"

	"souk/gateway/apierror"
)

// page cuts a page out of a sorted list: what comes after the item that the
// token names, most items at most. next is "" at the end. A token is good as
// long as the list's order is; what was deleted or came in between does not
// disturb it.
func page[T any](list []T, token string, most int, key func(T) string, after func(item T, position string) bool) (items []T, next string, err error) {
	if token != "" {
		position, err := openToken(token)
		if err != nil {
			return nil, "", err
		}
		begin := len(list)
		for i, item := range list {
			if after(item, position) {
				begin = i
				break
			}
		}
		list = list[begin:]
	}
	if len(list) <= most {
		return list, "", nil
	}
	return list[:most], sealToken(key(list[most-1])), nil
}

const tokenBegin = "after "

func sealToken(position string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(tokenBegin + position))
}

func openToken(token string) (string, error) {
	plain, err := base64.RawURLEncoding.DecodeString(token)
	position, ok := strings.CutPrefix(string(plain), tokenBegin)
	if err != nil || !ok {
		return "", apierror.New("InvalidNextToken", "The token is not one of this list")
	}
	return position, nil
}
