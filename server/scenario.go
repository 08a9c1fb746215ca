package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"souk/catalog/change"
	"souk/catalog/scenario"
	"souk/gateway"
	"souk/server/control"
	"souk/service/marketplacecatalog"
)

// exposed says whether others than this machine reach the server.
func exposed(config Config) bool {
	host, _, err := net.SplitHostPort(config.Listen)
	return err == nil && !loopback(host)
}

// applyScenario applies the file of --scenarios.
func (m *market) applyScenario(ctx context.Context, config Config) error {
	if config.Scenarios == "" {
		return nil
	}
	text, err := os.ReadFile(config.Scenarios)
	if err != nil {
		return &SettingError{Setting: "scenarios", Text: err.Error()}
	}
	f, err := scenario.Parse(text)
	if err == nil {
		_, err = m.scenarios.Apply(ctx, f, config.ScenariosForce)
	}
	if errors.Is(err, scenario.ErrExposed) {
		return &SettingError{Setting: "scenarios", Text: "others reach this server: whoever publishes there would meet the scenario. Give --scenarios-force too if that is wanted"}
	}
	if err != nil {
		return &SettingError{Setting: "scenarios", Text: fmt.Sprintf("%s: %v", config.Scenarios, err)}
	}
	return nil
}

// known is what the rules of a scenario can be about.
func known(types []*change.EntityType) scenario.Known {
	changes := map[string][]string{}
	for _, t := range types {
		for i := range t.Types {
			changes[t.Name] = append(changes[t.Name], t.Types[i].Name)
		}
	}
	return scenario.Known{Changes: changes}
}

// disturb says what the scenario does to a call.
func (m *market) disturb(ctx context.Context, o gateway.Outcome) (gateway.Disturbance, error) {
	if m.scenarios.Idle() {
		return gateway.Disturbance{}, nil
	}
	call := scenario.Call{Action: o.Operation.Name, Account: o.Caller.Principal.Account}
	if in, ok := o.Input.(*marketplacecatalog.StartChangeSetInput); ok {
		set := in.Starting(call.Account)
		call.Name, call.Changes = set.Name, set.Changes
	}
	d, err := m.scenarios.Disturb(ctx, call)
	return gateway.Disturbance(d), err
}

// offerScenario offers what souk scenario asks for.
func (m *market) offerScenario(d *control.Door) {
	control.Offer(d, "scenario/apply", func(ctx context.Context, in control.Scenario) (*scenario.State, error) {
		f, err := scenario.Parse([]byte(in.Text))
		if err != nil {
			return nil, err
		}
		state, err := m.scenarios.Apply(ctx, f, in.Force)
		return &state, err
	})
	control.Offer(d, "scenario/show", func(ctx context.Context, _ struct{}) (*scenario.State, error) { return m.scenarios.State(ctx) })
	control.Offer(d, "scenario/off", func(ctx context.Context, _ struct{}) (struct{}, error) { return struct{}{}, m.scenarios.Clear(ctx) })
	control.Offer(d, "scenario/release", func(ctx context.Context, id string) (struct{}, error) { return struct{}{}, m.engine.Release(ctx, id) })
}
