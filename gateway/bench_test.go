package gateway_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"souk/access/quota"
	"souk/access/trail"
	"souk/gateway"
	"souk/gateway/sigv4"
	"souk/storage/store/sqlite/sqlitetest"
)

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

func entityRequest(b *testing.B) *http.Request {
	return request{
		target: "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-abcdefghijklm",
		header: http.Header{
			"User-Agent": {"aws-sdk-go-v2/1.47.7"}, "Amz-Sdk-Invocation-Id": {"2b1d7f3e-5a0e-4f1e-9d8a-0d6d5b0b8a11"},
			"Amz-Sdk-Request": {"attempt=1; max=3"},
		},
	}.build(b)
}

// BenchmarkVerifyAlone is what of BenchmarkDescribeEntity is the signature.
func BenchmarkVerifyAlone(b *testing.B) {
	r := entityRequest(b)
	var v sigv4.Verifier
	var a sigv4.Auth
	b.ReportAllocs()
	for b.Loop() {
		if err := v.Parse(r, now, &a); err != nil {
			b.Fatal(err)
		}
		if err := v.Verify(r, &a, secret, nil, sigv4.Signed); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDescribeEntity is a signed request through the whole gateway, with
// rates, to an answer that is encoded already.
func BenchmarkDescribeEntity(b *testing.B) {
	benchmarkDescribe(b, config())
}

// BenchmarkDescribeEntityRecorded is the same, and its record: encoded, packed
// and stored.
func BenchmarkDescribeEntityRecorded(b *testing.B) {
	s := sqlitetest.Open(b)
	c := config()
	var err error
	c.Trail, err = trail.New(trail.Config{Store: s, Owner: "node"})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- c.Trail.Run(ctx) }()
	benchmarkDescribe(b, c)
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

func benchmarkDescribe(b *testing.B, c gateway.Config) {
	limiter, err := quota.New(quota.Config{Rates: map[string]float64{"marketplacecatalog.DescribeEntity": 1e9}})
	if err != nil {
		b.Fatal(err)
	}
	c.Limiter, c.RequestID = limiter, nil
	c.Log = slog.New(slog.NewTextHandler(io.Discard, nil)) // of level info, as a server's
	g := newGateway(b, c)
	r := entityRequest(b)
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		g.ServeHTTP(w, r)
		if w.status != 200 {
			b.Fatal(w.status)
		}
	}
}

// BenchmarkRefusal is a request with a wrong signature.
func BenchmarkRefusal(b *testing.B) {
	g := newGateway(b, config())
	r := entityRequest(b)
	r.URL.RawQuery += "0"
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		g.ServeHTTP(w, r)
		if w.status != 403 {
			b.Fatal(w.status)
		}
	}
}
