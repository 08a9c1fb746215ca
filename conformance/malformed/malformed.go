// Package malformed makes requests that are wrong in ways that nobody would
// write down in a table, sends them to a server, and says whether it bore them:
// no answer may blame the server (5xx), and every connection must end in order.
//
// Every request follows from its seed, so that a finding can be repeated. It
// knows the APIs' names but not their rules: whether an answer is the right one
// is for tests that expect one.
package malformed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Request is a request as bytes, in HTTP/1.1 or something like it.
type Request struct {
	Seed   uint64
	Method string
	Raw    []byte
	// Framed says that the server can tell where the request ends, whatever
	// else is wrong with it, so that another may follow on the connection.
	Framed bool
}

// Signer signs a request for a service, as AWS's clients do.
type Signer func(r *http.Request, body []byte, service string) error

// SignWith returns a Signer of an access key; its clock is the time of the
// signatures, nil the time of day.
func SignWith(accessKeyID, secret string, clock func() time.Time) Signer {
	if clock == nil {
		clock = time.Now
	}
	signer := v4.NewSigner()
	return func(r *http.Request, body []byte, service string) error {
		sum := sha256.Sum256(body)
		return signer.SignHTTP(context.Background(), aws.Credentials{AccessKeyID: accessKeyID, SecretAccessKey: secret},
			r, hex.EncodeToString(sum[:]), service, "us-east-1", clock())
	}
}

// draft is a request that is being spoiled.
type draft struct {
	*rand.Rand
	service, method, path, query string
	header                       http.Header
	body                         []byte
	proto                        string
	extra                        []string // header lines beside header
	length                       string   // value of Content-Length; "" leaves it out
	framed                       bool
}

// Generate makes the request of a seed for a server that is called host. Some
// of its requests are signed, so that what is wrong with them lies deeper.
func Generate(seed uint64, host string, sign Signer) (Request, error) {
	d := &draft{Rand: rand.New(rand.NewPCG(seed, 0x50756b)), proto: "HTTP/1.1", framed: true}
	well := wellFormed[d.IntN(len(wellFormed))]
	d.service, d.method, d.path, d.query, d.body = well.service, well.method, well.path, well.query, []byte(well.body)
	d.header = http.Header{"User-Agent": {"malformed/1"}}
	for k, v := range well.header {
		d.header.Set(k, v)
	}

	// What is spoiled before the signature is made is signed like that.
	kind := d.IntN(100)
	if kind < 65 {
		for range 1 + d.IntN(3) {
			changes := content
			if well.header["Content-Type"] == cborType["Content-Type"] && d.IntN(4) > 0 {
				changes = itemChanges
			}
			changes[d.IntN(len(changes))](d)
		}
	}
	if len(d.body) > 0 {
		d.length = strconv.Itoa(len(d.body))
	}
	if d.IntN(20) > 0 {
		if err := d.sign(host, sign); err != nil {
			return Request{}, fmt.Errorf("signing the request of seed %d: %w", seed, err)
		}
	}
	if kind >= 45 && kind < 85 {
		for range 1 + d.IntN(2) {
			headers[d.IntN(len(headers))](d)
		}
	}
	if kind >= 80 {
		wire[d.IntN(len(wire))](d)
	}
	raw := d.write(host)
	if kind >= 95 {
		raw = d.noise(raw)
		d.framed = false
	}
	return Request{Seed: seed, Method: d.method, Raw: raw, Framed: d.framed}, nil
}

// sign signs the draft as it is, and leaves it unsigned where no client could
// send such a request at all.
func (d *draft) sign(host string, sign Signer) error {
	target := "http://" + host + d.path
	if d.query != "" {
		target += "?" + d.query
	}
	u, err := url.Parse(target)
	if err != nil {
		return nil
	}
	r := &http.Request{Method: d.method, URL: u, Host: host, Header: d.header.Clone(), ContentLength: int64(len(d.body))}
	if err := sign(r, d.body, d.service); err != nil {
		return err
	}
	d.header, d.query = r.Header, r.URL.RawQuery
	return nil
}

// write puts the draft on the wire, in the same order for the same seed.
func (d *draft) write(host string) []byte {
	var b bytes.Buffer
	b.WriteString(d.method + " " + d.path)
	if d.query != "" {
		b.WriteString("?" + d.query)
	}
	b.WriteString(" " + d.proto + "\r\n")
	if host != "" {
		b.WriteString("Host: " + host + "\r\n")
	}
	for _, k := range slices.Sorted(maps.Keys(d.header)) {
		for _, v := range d.header[k] {
			b.WriteString(k + ": " + v + "\r\n")
		}
	}
	if d.length != "" {
		b.WriteString("Content-Length: " + d.length + "\r\n")
	}
	for _, line := range d.extra {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(d.body)
	return b.Bytes()
}

// noise changes bytes anywhere in the request, or cuts it off.
func (d *draft) noise(raw []byte) []byte {
	for range 1 + d.IntN(4) {
		if len(raw) == 0 {
			break
		}
		at := d.IntN(len(raw))
		switch d.IntN(4) {
		case 0:
			raw[at] = byte(d.IntN(256))
		case 1:
			raw = raw[:at]
		case 2:
			raw = slices.Insert(raw, at, d.bytes(1+d.IntN(16))...)
		case 3:
			raw = slices.Delete(raw, at, min(len(raw), at+1+d.IntN(8)))
		}
	}
	return raw
}

func (d *draft) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(d.IntN(256))
	}
	return b
}

// pick returns one of some texts.
func (d *draft) pick(of ...string) string { return of[d.IntN(len(of))] }
