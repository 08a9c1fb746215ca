package trail

import (
	"fmt"
	"testing"

	"souk/access/iam"
)

// BenchmarkRead is all that a recorded read costs, its part of a pack included.
func BenchmarkRead(b *testing.B) {
	m := newMarket(b, nil)
	c := m.call("DescribeEntity", true)
	c.Principal = &iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":root", ID: account, Root: true}
	b.ReportAllocs()
	for i := range b.N {
		c.Time = m.cfg.Clock()
		c.RequestID = fmt.Sprintf("%08x-0000-4000-8000-%012x", i*7919, i)
		c.Resources = []string{fmt.Sprintf("arn:aws:aws-marketplace:us-east-1:123456789012:AWSMarketplace/ContainerProduct/prod-%013d", i%4000)}
		if err := m.Begin(c).End(b.Context(), Outcome{}); err != nil {
			b.Fatal(err)
		}
		if i%500 == 499 {
			if err := m.flush(b.Context(), false); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkWrite is what a record adds to a commit, but for the store's part.
func BenchmarkWrite(b *testing.B) {
	m := newMarket(b, nil)
	c := m.call("StartChangeSet", false)
	b.ReportAllocs()
	for range b.N {
		c.Time = m.cfg.Clock()
		e := m.Begin(c)
		Answer(e.Context(b.Context()), &input{Catalog: "AWSMarketplace"}, "arn:aws:aws-marketplace:us-east-1:123456789012:AWSMarketplace/ChangeSet/set-1")
		if _, ok := e.take(); !ok {
			b.Fatal("nothing to take along")
		}
		e.took(nil)
		if err := e.End(b.Context(), Outcome{Output: &input{Catalog: "AWSMarketplace"}}); err != nil {
			b.Fatal(err)
		}
	}
}
