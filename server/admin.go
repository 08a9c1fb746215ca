package server

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// health is what /health of the admin port says.
type health struct {
	Ready    bool          `json:"ready"`
	Problem  string        `json:"problem,omitempty"` // why it is not ready
	URL      string        `json:"url"`
	Node     string        `json:"node"`
	Database string        `json:"database"` // which engine; never the address, which may hold a password
	Started  time.Time     `json:"started"`
	Memory   uint64        `json:"heap_bytes"`
	Compute  computeHealth `json:"compute"` // what machines there are
	Routines int           `json:"goroutines"`
}

// adminHandler answers on the admin port.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{Registry: s.metrics}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	// Not cmdline: the address of a database may have a password in it.
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		h := health{
			Ready: true, URL: s.url, Node: s.node, Database: s.market.database, Started: s.started, Compute: s.market.compute.health(),
			Memory: memory.HeapAlloc, Routines: runtime.NumGoroutine(),
		}
		status := http.StatusOK
		if err := s.ready(r); err != nil {
			h.Ready, h.Problem, status = false, err.Error(), http.StatusServiceUnavailable
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(h) // a client that has gone is no concern of ours
	})
	return mux
}
