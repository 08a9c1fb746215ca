package control

// Scenario is what souk scenario apply sends.
type Scenario struct {
	Text  string // YAML
	Force bool   // also on a server that others reach
}
