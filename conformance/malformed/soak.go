package malformed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Soak is a run of many malformed requests against one server.
type Soak struct {
	Address string // host:port; the requests' Host too
	Sign    Signer
	Seed    uint64 // of the first request; the next ones follow
	Count   int    // how many requests are sent
	Workers int    // connections at once; 0: 4
	// Patience is how long one connection may take; 0: 50 seconds. A server
	// that waits for what never comes is a finding; it would give up after 60.
	Patience time.Duration
}

// Report counts what came back.
type Report struct {
	Sent     int
	Answered int         // without the answers that went down with a broken connection
	Statuses map[int]int // how many answers had which status
}

// perConnection is how many requests follow each other on a connection.
const perConnection = 8

// Run sends the requests. It ends at the first finding, which it returns as an
// error that names the seeds of the connection.
func (s Soak) Run(ctx context.Context) (Report, error) {
	if s.Workers == 0 {
		s.Workers = 4
	}
	if s.Patience == 0 {
		s.Patience = 50 * time.Second
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	report := Report{Statuses: map[int]int{}}
	var mu sync.Mutex // guards report
	batches := make(chan []Request)
	var workers sync.WaitGroup
	for range s.Workers {
		workers.Go(func() {
			for batch := range batches {
				statuses, err := s.exchange(ctx, batch)
				mu.Lock()
				report.Sent += len(batch)
				report.Answered += len(statuses)
				for _, status := range statuses {
					report.Statuses[status]++
				}
				mu.Unlock()
				if err != nil && ctx.Err() == nil {
					cancel(fmt.Errorf("requests of the seeds %d to %d: %w", batch[0].Seed, batch[len(batch)-1].Seed, err))
				}
			}
		})
	}
	err := s.generate(ctx, batches)
	close(batches)
	workers.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	return report, err
}

// generate hands the workers what each sends over one connection: some framed
// requests, or as many until one after which nothing can follow.
func (s Soak) generate(ctx context.Context, batches chan<- []Request) error {
	var batch []Request
	for i := range s.Count {
		q, err := Generate(s.Seed+uint64(i), s.Address, s.Sign)
		if err != nil {
			return err
		}
		batch = append(batch, q)
		if len(batch) < perConnection && q.Framed && i+1 < s.Count {
			continue
		}
		select {
		case batches <- batch:
		case <-ctx.Done():
			return nil
		}
		batch = nil
	}
	return nil
}

// exchange sends requests over one connection, ends its own side, and reads
// answers until the server ends too.
func (s Soak) exchange(ctx context.Context, batch []Request) ([]int, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(s.Patience)); err != nil {
		return nil, err
	}
	go func() {
		for _, q := range batch {
			if _, err := c.Write(q.Raw); err != nil {
				return // the server has ended first; what it said is still read
			}
		}
		c.(*net.TCPConn).CloseWrite()
	}()
	return Answers(c, batch)
}

// Answers reads the answers to requests that were sent over a connection, and
// returns their statuses. It fails if an answer is a 5xx or no HTTP, if a
// framed request has none though the server did not announce an end, or if the
// connection stays open.
func Answers(c io.Reader, sent []Request) ([]int, error) {
	var statuses []int
	announced := false // the server has said that it ends the connection
	broken := !sent[len(sent)-1].Framed
	in := bufio.NewReader(c)
	for {
		mayEnd := announced || broken && len(statuses) >= len(sent)-1
		if _, err := in.Peek(1); err != nil { // between two answers, where an end is no break
			return statuses, ended(err, statuses, sent, mayEnd)
		}
		method := http.MethodGet
		if n := len(statuses); n < len(sent) {
			method = sent[n].Method
		}
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return statuses, ended(err, statuses, sent, mayEnd)
		}
		if res.StatusCode >= 500 {
			body, _ := io.ReadAll(io.LimitReader(res.Body, 1000)) // for the finding only
			return statuses, fmt.Errorf("answer %d is %s: %q", len(statuses)+1, res.Status, body)
		}
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode/100 == 1 {
			continue
		}
		statuses = append(statuses, res.StatusCode)
		announced = announced || res.Close
		if err != nil {
			return statuses, ended(err, statuses, sent, announced)
		}
	}
}

// ended judges how a connection ended. A server that closes while the client
// still writes takes its last answer down with it: that is TCP's, not its fault.
func ended(err error, statuses []int, sent []Request, mayEnd bool) error {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("the connection stayed open after %d of %d answers", len(statuses), len(sent))
	case mayEnd:
		return nil
	case errors.Is(err, io.EOF) && len(statuses) >= len(sent):
		return nil
	}
	return fmt.Errorf("the connection ended after %d of %d answers: %w", len(statuses), len(sent), err)
}
