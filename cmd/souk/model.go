package main

import (
	"souk/service/marketplaceimagebuild"
)

// ModelCommand prints descriptions of services that no SDK has.
type ModelCommand struct {
	Imagebuild ModelImagebuildCommand `cmd:"" help:"The Image Build Service: for aws configure add-model --service-name marketplaceimagebuild --service-model file://FILE."`
}

// ModelImagebuildCommand prints the model of the Image Build Service.
type ModelImagebuildCommand struct{}

// Run prints it.
func (c *ModelImagebuildCommand) Run(app *App) error {
	text, err := marketplaceimagebuild.Model()
	if err != nil {
		return err
	}
	_, err = app.Out.Write(text)
	return err
}
