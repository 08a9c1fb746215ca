package server

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"souk/artifact/build"
	"souk/catalog/changeset"
	"souk/gateway"
)

// newMetrics returns the registry of a server's metrics: the process's own and
// those that the parts add. It is the server's, not the process's, so that
// several servers live in one process.
func newMetrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

// observeChangeSets counts the steps of change sets on this node.
func observeChangeSets(r prometheus.Registerer) func(changeset.Event) {
	steps := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "souk_change_set_steps_total",
		Help: "Steps of change sets on this node: started, taken, probing, prepared, retried, ended, lost, swept; and the status after the step.",
	}, []string{"step", "status"})
	r.MustRegister(steps)
	return func(e changeset.Event) { steps.WithLabelValues(string(e.Step), string(e.Status)).Inc() }
}

// observeBuilds counts the steps of builds of images on this node, and how long
// those took that have ended here.
func observeBuilds(r prometheus.Registerer) func(build.Event) {
	steps := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "souk_build_steps_total",
		Help: "Steps of builds on this node: started, taken, retried, handed-back, lost, ended; and the status after the step.",
	}, []string{"step", "status"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "souk_build_seconds",
		Help:    "Seconds from a build's start to its end on this node, by its status and error code (none for success).",
		Buckets: []float64{1, 5, 15, 60, 300, 900, 3600, 14400},
	}, []string{"status", "code"})
	r.MustRegister(steps, took)
	return func(e build.Event) {
		steps.WithLabelValues(string(e.Step), string(e.Status)).Inc()
		if e.Step == build.Ended {
			took.WithLabelValues(string(e.Status), e.Code).Observe(e.Took.Seconds())
		}
	}
}

// measureBuilds says how many builds this node works on.
func measureBuilds(r prometheus.Registerer, b *build.Builds) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "souk_builds_running",
		Help: "Builds that this node works on now.",
	}, func() float64 { return float64(b.Working()) }))
}

// observeConnections counts the connections that were closed because too many
// were open, by listener: public, admin or socket.
func observeConnections(r prometheus.Registerer) *prometheus.CounterVec {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "souk_connections_refused_total",
		Help: "Connections that were closed because too many were open, by listener.",
	}, []string{"listener"})
	r.MustRegister(refused)
	return refused
}

// observeRequests counts the requests of AWS's APIs and how long they took.
func observeRequests(r prometheus.Registerer) func(context.Context, gateway.Outcome) {
	answered := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "souk_requests_total",
		Help: "Requests of AWS's APIs by service, operation and error code (none for success).",
	}, []string{"service", "operation", "code"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "souk_request_seconds",
		Help:    "Seconds from a request's header to its answer, by service and operation.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
	}, []string{"service", "operation"})
	r.MustRegister(answered, took)
	// What nearly all requests need is looked up once for each operation.
	type series struct {
		took prometheus.Observer
		well prometheus.Counter
	}
	var known sync.Map // *gateway.Operation to series
	return func(_ context.Context, o gateway.Outcome) {
		if o.Operation == nil || o.Service == nil {
			service, code := "", ""
			if o.Service != nil {
				service = o.Service.Name
			}
			if o.Err != nil {
				code = o.Err.Code
			}
			answered.WithLabelValues(service, "", code).Inc()
			return
		}
		found, ok := known.Load(o.Operation)
		if !ok {
			found, _ = known.LoadOrStore(o.Operation, series{
				took: took.WithLabelValues(o.Service.Name, o.Operation.Name),
				well: answered.WithLabelValues(o.Service.Name, o.Operation.Name, ""),
			})
		}
		s := found.(series)
		s.took.Observe(o.Took.Seconds())
		if o.Err == nil {
			s.well.Inc()
			return
		}
		answered.WithLabelValues(o.Service.Name, o.Operation.Name, o.Err.Code).Inc()
	}
}
