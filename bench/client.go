package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load is what one measurement sends: whole HTTP/1.1 requests, signed
// beforehand, so that signing and encoding cost the client nothing while it
// measures. Client and server share the machine; a client that works little is
// what makes the server's number true.
type load struct {
	address     string // host:port
	connections int
	duration    time.Duration
	// requests are sent in turn, over all connections. Endless ones start again
	// at the first; others end the measurement when they are used up.
	requests [][]byte
	endless  bool
}

// result is what a measurement saw.
type result struct {
	answers  int           // with status 200
	elapsed  time.Duration // from the first request to the last answer
	median   time.Duration // of an answer
	slowest  time.Duration // 99 of 100 answers were quicker
	bodySize int           // of the last answer
}

// run sends the load. Any answer but 200 ends it with an error that shows the
// answer: a rate of refusals is no rate.
func (l load) run() (result, error) {
	var (
		next  atomic.Int64
		mu    sync.Mutex // guards what follows
		all   []time.Duration
		r     result
		wrong error
	)
	started := time.Now()
	end := started.Add(l.duration)
	var connections sync.WaitGroup
	for range l.connections {
		connections.Go(func() {
			times, size, err := l.connection(&next, end)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, times...)
			if size > 0 {
				r.bodySize = size
			}
			if err != nil && wrong == nil {
				wrong = err
			}
		})
	}
	connections.Wait()
	r.elapsed = time.Since(started)
	if wrong != nil {
		return r, wrong
	}
	r.answers = len(all)
	if r.answers == 0 {
		return r, fmt.Errorf("no answer from %s within %v", l.address, l.duration)
	}
	slices.Sort(all)
	r.median, r.slowest = all[len(all)/2], all[len(all)*99/100]
	return r, nil
}

// connection sends requests over one connection, one at a time.
func (l load) connection(next *atomic.Int64, end time.Time) (times []time.Duration, size int, err error) {
	conn, err := net.Dial("tcp", l.address)
	if err != nil {
		return nil, 0, fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	times = make([]time.Duration, 0, 1<<16)
	before := time.Now()
	for before.Before(end) {
		n := int(next.Add(1) - 1)
		if n >= len(l.requests) && !l.endless {
			return times, size, nil
		}
		_, err = conn.Write(l.requests[n%len(l.requests)])
		if err != nil {
			return times, size, fmt.Errorf("sending request %d: %w", n, err)
		}
		var status int
		var body []byte
		status, body, size, err = answer(in)
		if err != nil {
			return times, size, fmt.Errorf("reading answer %d: %w", n, err)
		}
		if status != 200 {
			return times, size, fmt.Errorf("answer %d has status %d: %s", n, status, body)
		}
		now := time.Now()
		times = append(times, now.Sub(before))
		before = now
	}
	return times, size, nil
}

// answer reads one answer. The body is returned only of an answer that is not
// 200; otherwise just its size.
func answer(in *bufio.Reader) (status int, body []byte, size int, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, nil, 0, err
	}
	if len(line) < 12 {
		return 0, nil, 0, fmt.Errorf("status line %q", line)
	}
	status, err = strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, nil, 0, fmt.Errorf("status line %q", line)
	}
	length, chunked := 0, false
	for {
		line, err = in.ReadSlice('\n')
		if err != nil {
			return status, nil, 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, err = strconv.Atoi(string(value))
			if err != nil {
				return status, nil, 0, fmt.Errorf("content length %q", value)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	var kept bytes.Buffer
	take := func(n int) error {
		if status == 200 {
			_, err := in.Discard(n)
			return err
		}
		_, err := io.CopyN(&kept, in, int64(n))
		return err
	}
	if !chunked {
		err = take(length)
		return status, kept.Bytes(), length, err
	}
	for {
		line, err = in.ReadSlice('\n')
		if err != nil {
			return status, nil, size, err
		}
		n, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
		if err != nil {
			return status, nil, size, fmt.Errorf("chunk size %q", line)
		}
		size += int(n)
		err = take(int(n))
		if err != nil {
			return status, nil, size, err
		}
		_, err = in.Discard(2) // the line end behind a chunk, also behind the last
		if err != nil {
			return status, nil, size, err
		}
		if n == 0 {
			return status, kept.Bytes(), size, nil
		}
	}
}
