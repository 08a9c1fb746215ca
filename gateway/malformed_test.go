package gateway_test

import (
	"context"
	"net"
	"testing"
	"time"

	"souk/conformance/malformed"
	"souk/gateway"
)

// startServer serves a gateway as it is served in production and returns its address.
func startServer(t testing.TB, c gateway.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := gateway.Server(newGateway(t, c), gateway.Limits{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(gateway.Listener(l)) // ends with the test, by Close
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return l.Addr().String()
}

func TestMalformedRequestsNeverBlameTheServer(t *testing.T) {
	t.Parallel()
	c := config()
	c.Clock = time.Now
	c.Services = append(services(), twoProtocols())
	report, err := malformed.Soak{
		Address: startServer(t, c),
		Sign:    malformed.SignWith("AKIDROOT", secret, nil),
		Seed:    uint64(time.Now().UnixNano()), // each run sends others; a finding names its seeds
		Count:   4000,
	}.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if report.Sent != 4000 || report.Answered < 3000 || report.Statuses[200] == 0 || report.Statuses[422] == 0 || report.Statuses[400] == 0 {
		t.Errorf("the requests do not reach all they should: %+v", report)
	}
	t.Logf("%+v", report)
}

func FuzzMalformed(f *testing.F) {
	c := config()
	c.Clock = time.Now
	c.Services = append(services(), twoProtocols())
	address := startServer(f, c)
	sign := malformed.SignWith("AKIDROOT", secret, nil)
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		if _, err := (malformed.Soak{Address: address, Sign: sign, Seed: seed, Count: 8, Workers: 1}).Run(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
