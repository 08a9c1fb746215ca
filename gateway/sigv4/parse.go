package sigv4

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The longest parts of a credential that are worth looking up.
const (
	maxAccessKeyID = 128
	maxScopePart   = 64
)

// Parse reads what a request says of its signature, checks its form and its
// time against now, and leaves it in a. It looks at no secret and no body. The
// error is an *Error with the Reason Missing, Incomplete, Expired or Mismatch;
// after Expired and Mismatch, a names the service that was meant.
func (v *Verifier) Parse(r *http.Request, now time.Time, a *Auth) error {
	*a = Auth{}
	authorization := r.Header["Authorization"]
	presigned := mentionsSignature(r.URL.RawQuery)
	switch {
	case len(authorization) == 0 && !presigned:
		return refuse(Missing, "Request is missing Authentication Token")
	case len(authorization) > 0 && presigned:
		return refuse(Incomplete, "Only one authentication mechanism is allowed: the Authorization header or the query string.")
	case len(authorization) > 1:
		return refuse(Incomplete, "The Authorization header was sent more than once.")
	case presigned:
		return parseQuery(r, now, a)
	}
	return parseHeader(r, authorization[0], now, a)
}

func parseHeader(r *http.Request, authorization string, now time.Time, a *Auth) error {
	name, rest, _ := strings.Cut(authorization, " ")
	if name != algorithm {
		return refuse(Incomplete, "Unsupported AWS 'algorithm': "+quote(name)+".")
	}
	var credential string
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, ",")
		part = strings.Trim(part, " \t")
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return refuse(Incomplete, quote(part)+" not a valid key=value pair (missing equal-sign) in Authorization header.")
		}
		var into *string
		switch key {
		case "Credential":
			into = &credential
		case "SignedHeaders":
			into = &a.signedHeaders
		case "Signature":
			into = &a.signature
		default:
			return refuse(Incomplete, "Authorization header has an unknown parameter "+quote(key)+".")
		}
		if *into != "" {
			return refuse(Incomplete, "Authorization header has the parameter '"+key+"' more than once.")
		}
		*into = value
	}
	var lacks []string
	for _, p := range []struct{ name, value string }{
		{"Credential", credential}, {"Signature", a.signature}, {"SignedHeaders", a.signedHeaders},
	} {
		if p.value == "" {
			lacks = append(lacks, "Authorization header requires '"+p.name+"' parameter.")
		}
	}
	if lacks != nil {
		return refuse(Incomplete, strings.Join(lacks, " "))
	}

	stamp, ok := single(r.Header, "X-Amz-Date")
	if !ok {
		return refuse(Incomplete, "The header 'X-Amz-Date' was sent more than once.")
	}
	if stamp == "" {
		stamp = r.Header.Get("Date")
		if t, err := http.ParseTime(stamp); err == nil {
			stamp = t.UTC().Format(timeFormat)
		}
		if stamp == "" {
			return refuse(Incomplete, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
		}
	}
	if a.SessionToken, ok = single(r.Header, "X-Amz-Security-Token"); !ok {
		return refuse(Incomplete, "The header 'X-Amz-Security-Token' was sent more than once.")
	}
	if a.payload, ok = single(r.Header, "X-Amz-Content-Sha256"); !ok {
		return refuse(Incomplete, "The header 'X-Amz-Content-Sha256' was sent more than once.")
	}
	if err := a.setCredential(credential, stamp); err != nil {
		return err
	}
	return a.checkTime(now, 0)
}

// single returns a header's only value, "" if there is none; ok is false if there are several.
func single(h http.Header, key string) (value string, ok bool) {
	switch v := h[key]; len(v) {
	case 0:
		return "", true
	case 1:
		return v[0], true
	default:
		return "", false
	}
}

// setCredential reads "access key/date/region/service/aws4_request" and the time stamp.
func (a *Auth) setCredential(credential, stamp string) error {
	id, scope, _ := strings.Cut(credential, "/")
	date, rest, _ := strings.Cut(scope, "/")
	region, rest, _ := strings.Cut(rest, "/")
	service, end, ok := strings.Cut(rest, "/")
	if !ok || id == "" || len(id) > maxAccessKeyID || date == "" || region == "" || service == "" ||
		len(region) > maxScopePart || len(service) > maxScopePart || strings.Contains(end, "/") {
		return refuse(Incomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "+quote(credential)+".")
	}
	if !validHeaderList(a.signedHeaders) {
		return refuse(Incomplete, "SignedHeaders must be header names in lower case, joined by semicolons, got "+quote(a.signedHeaders)+".")
	}
	if !names(a.signedHeaders, "host") {
		return refuse(Mismatch, "'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	t, ok := parseStamp(stamp)
	if !ok {
		return refuse(Incomplete, "Date must be in ISO-8601 'basic format'. Got "+quote(stamp)+". See http://en.wikipedia.org/wiki/ISO_8601.")
	}
	a.AccessKeyID, a.scope, a.Region, a.Service = id, scope, region, service
	a.Time, a.stamp = t, stamp
	if end != terminator {
		return refuse(Mismatch, "Credential should be scoped with a valid terminator: 'aws4_request', not "+quote(end)+".")
	}
	if date != stamp[:8] {
		return refuse(Mismatch, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "+
			quote(date)+" != "+quote(stamp[:8])+", from "+quote(stamp)+".")
	}
	return nil
}

// checkTime compares the signature's time with the server's. life is how long
// a presigned URL lives; the clock skew comes on top of it: "more than 15
// minutes after the request expiration date" (Catalog API Reference, "Common
// Errors", RequestExpired).
func (a *Auth) checkTime(now time.Time, life time.Duration) error {
	format := func(t time.Time) string { return t.UTC().Format(timeFormat) }
	if a.Time.Add(life + MaxSkew).Before(now) {
		return refuse(Expired, "Signature expired: "+format(a.Time.Add(life))+" is now earlier than "+
			format(now.Add(-MaxSkew))+" ("+format(now)+" - 15 min.)")
	}
	if a.Time.After(now.Add(MaxSkew)) {
		return refuse(Expired, "Signature not yet current: "+format(a.Time)+" is still later than "+
			format(now.Add(MaxSkew))+" ("+format(now)+" + 15 min.)")
	}
	return nil
}

// mentionsSignature says whether a query string carries any part of a signature.
func mentionsSignature(query string) bool {
	return strings.Contains(query, "X-Amz-Signature=") || strings.Contains(query, "X-Amz-Algorithm=") ||
		strings.Contains(query, "X-Amz-Credential=")
}

func parseQuery(r *http.Request, now time.Time, a *Auth) error {
	a.Presigned = true
	var algo, credential, stamp, expires string
	for rest := r.URL.RawQuery; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "&")
		key, value, _ := strings.Cut(part, "=")
		var into *string
		switch key {
		case "X-Amz-Algorithm":
			into = &algo
		case "X-Amz-Credential":
			into = &credential
		case "X-Amz-Date":
			into = &stamp
		case "X-Amz-Expires":
			into = &expires
		case "X-Amz-SignedHeaders":
			into = &a.signedHeaders
		case "X-Amz-Signature":
			into = &a.signature
		case "X-Amz-Security-Token":
			into = &a.SessionToken
		case "X-Amz-Content-Sha256":
			into = &a.payload
		default:
			continue
		}
		text, err := url.QueryUnescape(value)
		if err != nil || *into != "" {
			return refuse(Incomplete, "The query parameter '"+key+"' is malformed or was sent more than once.")
		}
		*into = text
	}
	var lacks []string
	for _, p := range []struct{ name, value string }{
		{"X-Amz-Algorithm", algo}, {"X-Amz-Credential", credential}, {"X-Amz-Signature", a.signature},
		{"X-Amz-SignedHeaders", a.signedHeaders}, {"X-Amz-Date", stamp},
	} {
		if p.value == "" {
			lacks = append(lacks, "AWS query-string parameters must include '"+p.name+"'.")
		}
	}
	if lacks != nil {
		return refuse(Incomplete, strings.Join(lacks, " "))
	}
	if algo != algorithm {
		return refuse(Incomplete, "Unsupported AWS 'algorithm': "+quote(algo)+".")
	}
	life := time.Duration(0) // without X-Amz-Expires: as long as a header's signature
	if expires != "" {
		seconds, err := strconv.ParseUint(expires, 10, 32)
		if err != nil || seconds == 0 || time.Duration(seconds)*time.Second > MaxExpires {
			return refuse(Incomplete, "X-Amz-Expires must be a number of seconds from 1 to 604800 (a week), got "+quote(expires)+".")
		}
		life = time.Duration(seconds) * time.Second
	}
	if a.payload == "" {
		var ok bool
		if a.payload, ok = single(r.Header, "X-Amz-Content-Sha256"); !ok {
			return refuse(Incomplete, "The header 'X-Amz-Content-Sha256' was sent more than once.")
		}
	}
	if err := a.setCredential(credential, stamp); err != nil {
		return err
	}
	return a.checkTime(now, life)
}

// parseStamp reads a time in the form 20060102T150405Z.
func parseStamp(s string) (time.Time, bool) {
	if len(s) != len(timeFormat) || s[8] != 'T' || s[15] != 'Z' {
		return time.Time{}, false
	}
	number := func(from, to int) int {
		n := 0
		for _, c := range []byte(s[from:to]) {
			if c < '0' || c > '9' {
				return -1
			}
			n = 10*n + int(c-'0')
		}
		return n
	}
	year, month, day := number(0, 4), number(4, 6), number(6, 8)
	hour, minute, second := number(9, 11), number(11, 13), number(13, 15)
	if year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 ||
		minute < 0 || minute > 59 || second < 0 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	return t, t.Day() == day // the 31st of June is no day
}

// validHeaderList says whether s is a list of header names as they are signed.
func validHeaderList(s string) bool {
	last := byte(';')
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		case c == ';' && last != ';':
		default:
			return false
		}
		last = c
	}
	return last != ';'
}
