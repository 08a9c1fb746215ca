package notify

import (
	"net/url"
	"strings"
	"sync"
	"time"
)

// hosts bounds the deliveries that this node has under way to each host, so
// that one that doesn't answer holds up its own messages only.
type hosts struct {
	most int

	mu  sync.Mutex
	all map[string]*host // those that are asked now; guarded by mu
}

type host struct {
	asked  int // deliveries under way
	queued int // deliveries that were put back since it was full
}

// hostOf names the host and port of an endpoint.
func hostOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}

const longestWait = time.Minute

// take takes a place at a host. Where there is none, release is nil and wait
// says after what time to come again: the longer, the more are waiting.
func (h *hosts) take(name string) (release func(), wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.all[name]
	if of == nil {
		of = &host{}
		h.all[name] = of
	}
	if of.asked >= h.most {
		of.queued++
		return nil, min(longestWait, time.Second*time.Duration(1+of.queued/h.most))
	}
	of.asked++
	if of.queued > 0 {
		of.queued--
	}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if of.asked--; of.asked == 0 {
			delete(h.all, name)
		}
	}, 0
}
