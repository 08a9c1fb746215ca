package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"souk/artifact/chart"
	"souk/server"
)

// ServeCommand runs the server.
type ServeCommand struct {
	Settings server.Config `embed:""`

	Config    string `name:"config" placeholder:"FILE" help:"YAML file with settings; a key for each flag of serve."`
	LogLevel  string `name:"log-level" placeholder:"LEVEL" enum:"debug,info,warn,error" default:"info" help:"What is logged to standard error: debug, info, warn or error (default info)."`
	LogFormat string `name:"log-format" placeholder:"FORMAT" enum:"text,json" default:"text" help:"How it is logged: text or json (default text)."`
}

// Run serves until the process is told to end, then drains.
func (s *ServeCommand) Run(app *App, line *kong.Context) error {
	config := s.Settings
	config.Log = s.logger(app)
	for _, name := range unknownVariables(line.Model.Node, os.Environ()) {
		config.Log.Warn("an environment variable is no setting of souk; is it misspelt?", "variable", name)
	}
	config.ChartCommand, config.MachineProgram = renderer(), true
	market, err := server.New(app.Ctx, config)
	if err != nil {
		return asUsage(err)
	}
	_, err = fmt.Fprintf(app.Out, "souk: listening on %s\n", market.LocalURL())
	if err != nil {
		config.Log.Warn("the line that says we are ready could not be written", "error", err)
	}
	beSmall := func() {
		err := keepSmall()
		if err != nil {
			config.Log.Debug("memory of the start was not given back", "error", err)
		}
	}
	beSmall()
	go func() { // and again when the first machine has been tried, which Run does
		_, _ = market.Machines(app.Ctx) // an error is in the log
		beSmall()
	}()
	return market.Run(app.Ctx)
}

func (s *ServeCommand) logger(app *App) *slog.Logger {
	var level slog.Level
	err := level.UnmarshalText([]byte(s.LogLevel))
	if err != nil {
		level = slog.LevelInfo // the command line allows no other
	}
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(app.Err, options))
	}
	return slog.New(slog.NewTextHandler(app.Err, options))
}

// asUsage makes a wrong setting a mistake of the command line.
func asUsage(err error) error {
	var setting *server.SettingError
	if errors.As(err, &setting) {
		return &UsageError{Text: err.Error()}
	}
	return err
}

// renderer is the command that renders charts: this program again.
func renderer() []string {
	self, err := os.Executable()
	if err != nil {
		return nil // then charts are rendered in this process
	}
	return []string{self, chart.Argument}
}
