package main

import "fmt"

// ImageRepositoryCommand says where images and files of components are pushed to.
type ImageRepositoryCommand struct {
	MarketFlags `embed:""`
}

// Run prints HOST/NAMESPACE/ami.
func (c *ImageRepositoryCommand) Run(app *App) error {
	m, err := c.market()
	if err != nil {
		return err
	}
	var place struct {
		Repository string `xml:"repositoryUri"`
	}
	if err := m.ec2(app.Ctx, "GetImageRepository", nil, &place); err != nil {
		return err
	}
	_, err = fmt.Fprintln(app.Out, place.Repository)
	return err
}
