package build

import "time"

// Event is a step of a build on this node, told after the step was stored.
type Event struct {
	BuildID string
	Step    Step
	Status  Status        // after the step
	Code    string        // of a Detail: why a build that has ended did not succeed
	Took    time.Duration // of a build that has ended: since it was started
}

// Step names what happened to a build.
type Step string

// The steps of builds.
const (
	Started    Step = "started"     // Start stored it
	Taken      Step = "taken"       // a worker of this node begins it
	Retried    Step = "retried"     // it failed by our fault and will be tried again
	HandedBack Step = "handed-back" // this node stops: it is anybody's
	Lost       Step = "lost"        // another node has it
	Ended      Step = "ended"       // Succeeded, Failed or InternalError
)

// observe tells of a step of a build.
func (b *Builds) observe(r *Build, s Step) {
	if b.config.Observe == nil {
		return
	}
	e := Event{BuildID: r.ID, Step: s, Status: r.Status}
	if s == Ended {
		e.Took = r.Updated.Sub(r.Started)
		if r.Detail != nil {
			e.Code = r.Detail.Code
		}
	}
	b.config.Observe(e)
}

// Working is how many builds this node works on now.
func (b *Builds) Working() int { return int(b.working.Load()) }
