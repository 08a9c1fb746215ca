package server

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"souk/catalog/changeset"
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
