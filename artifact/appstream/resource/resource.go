// Package resource is what the resources of AppStream have in common: their
// ARNs, their names, their tags, and the errors that they carry. It keeps none
// of them, and knows none of the rooms that do.
package resource

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"souk/gateway/apierror"
)

// Types of resources, as their ARNs have them.
//
// Service Authorization Reference, "Actions, resources, and condition keys for
// Amazon AppStream 2.0".
const (
	TypeImage        = "image"
	TypeImageBuilder = "image-builder"
)

// NamePattern is that of the names of images and image builders (AppStream API
// reference, "Name"); constraint tags of the service repeat it.
const NamePattern = `^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$`

var (
	formOfName   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(NamePattern) })
	formOfRegion = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	formOfOwner  = regexp.MustCompile(`^([0-9]{12})?$`)
)

// IsName says whether a resource can have the name.
func IsName(name string) bool { return formOfName().MatchString(name) }

// IsRegion says whether a text has the form of a region's name.
func IsRegion(region string) bool { return formOfRegion.MatchString(region) }

// ARN names a resource.
type ARN struct {
	Region  string
	Account string // "" of a public image
	Type    string // TypeImage, TypeImageBuilder
	Name    string
}

// String is the ARN as AWS writes it: arn:aws:appstream:REGION:ACCOUNT:TYPE/NAME.
func (a ARN) String() string {
	return "arn:aws:appstream:" + a.Region + ":" + a.Account + ":" + a.Type + "/" + a.Name
}

// ParseARN reads the ARN of an AppStream resource. Its type may be one that no
// room has; ok is false for all that is no such ARN.
func ParseARN(s string) (a ARN, ok bool) {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[1] != "aws" || parts[2] != "appstream" {
		return ARN{}, false
	}
	kind, name, _ := strings.Cut(parts[5], "/")
	a = ARN{Region: parts[3], Account: parts[4], Type: kind, Name: name}
	if !IsRegion(a.Region) || !formOfOwner.MatchString(a.Account) || a.Type == "" || !IsName(a.Name) {
		return ARN{}, false
	}
	return a, true
}

// Error is one that a resource carries (ResourceError of the API).
type Error struct {
	Code      string // of FleetErrorCode, such as SUBNET_NOT_FOUND
	Message   string
	Timestamp time.Time // UTC
}

// MostTags is how many tags a resource may have.
const MostTags = 50

// Tags are the tags of a resource, by their keys.
type Tags map[string]string

// Check says what is wrong with tags: a ValidationException for a key or a value
// that can't be one, LimitExceededException for too many.
//
// AppStream API reference, "TagResource": keys have 1 to 128 characters, values
// up to 256, letters, white space, digits and _ . : / = + \ - @; "aws:" is AWS's.
func (t Tags) Check() error {
	for _, key := range slices.Sorted(maps.Keys(t)) {
		value := t[key]
		switch {
		case key == "" || utf8.RuneCountInString(key) > 128 || strings.HasPrefix(key, "aws:") || !written(key):
			return apierror.New("ValidationException", "The tag key '%s' is not valid: it has 1 to 128 letters, digits, spaces and _ . : / = + \\ - @, and does not begin with aws:.", key)
		case utf8.RuneCountInString(value) > 256 || !written(value):
			return apierror.New("ValidationException", "The value of the tag '%s' is not valid: it has at most 256 letters, digits, spaces and _ . : / = + \\ - @.", key)
		}
	}
	if len(t) > MostTags {
		return apierror.New("LimitExceededException", "A resource can have %d tags at most.", MostTags)
	}
	return nil
}

// written says whether a text has only the characters of tags.
func written(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.Z, r) && !strings.ContainsRune(`_.:/=+\-@`, r) {
			return false
		}
	}
	return true
}

// Merge returns the tags with others put over them, as TagResource does: a key
// that is there gets the new value. It is what Check says of the whole.
func (t Tags) Merge(more Tags) (Tags, error) {
	merged := maps.Clone(t)
	if merged == nil {
		merged = Tags{}
	}
	maps.Copy(merged, more)
	err := merged.Check()
	if err != nil {
		return nil, err
	}
	return merged, nil
}

// Without returns the tags without those of some keys, as UntagResource does: a
// key that is not there is no mistake.
func (t Tags) Without(keys []string) Tags {
	left := Tags{}
	for k, v := range t {
		if !slices.Contains(keys, k) {
			left[k] = v
		}
	}
	return left
}

// NotFound is the service's answer to a resource that is not there, in its own
// words: what is "image", "image builder".
func NotFound(what, name, account string) error {
	return apierror.New("ResourceNotFoundException", "The %s %s for account %s does not exist.", what, name, account)
}

// Concurrent is its answer to a request that another was quicker than.
func Concurrent(what, name string) error {
	return apierror.New("ConcurrentModificationException", "The %s %s was changed by another request. Wait a moment and try again.", what, name)
}

// Place is the prefix of the keys and the partition of what an account has in a region.
func Place(account, region string) string { return fmt.Sprintf("%s/%s", account, region) }
