package main

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"souk/artifact/images"
)

// ImageCommand is the machine images of an account, by signed calls of the API.
type ImageCommand struct {
	Import ImageImportCommand `cmd:"" help:"Make an AMI of a root file system or an image; prints its id."`
	List   ImageListCommand   `cmd:"" help:"List the account's AMIs."`
	Show   ImageShowCommand   `cmd:"" help:"Show an AMI."`
	Export ImageExportCommand `cmd:"" help:"Write an AMI to an OCI layout or a tar of its root file system."`
	Share  ImageShareCommand  `cmd:"" help:"Let other accounts use an AMI, or no longer."`
	Rm     ImageRmCommand     `cmd:"" help:"Remove an AMI that nothing uses."`

	Repository ImageRepositoryCommand `cmd:"" help:"Print the repository that the account pushes images and files of components to, and make it."`
}

// imageID is the AMI that a command is about.
type imageID string

// Validate is called by kong.
func (i imageID) Validate() error {
	hex, ok := strings.CutPrefix(string(i), "ami-")
	if !ok || len(hex) != 17 || strings.Trim(hex, "0123456789abcdef") != "" {
		return fmt.Errorf("%q is no id of an AMI: it is ami- and 17 hexadecimal digits (`souk image list`)", string(i))
	}
	return nil
}

// machineImage is an AMI as DescribeImages shows it.
type machineImage struct {
	ID             string   `xml:"imageId"`
	Location       string   `xml:"imageLocation"`
	State          string   `xml:"imageState"`
	Owner          string   `xml:"imageOwnerId"`
	Created        string   `xml:"creationDate"`
	Public         bool     `xml:"isPublic"`
	ProductCodes   []string `xml:"productCodes>item>productCode"`
	Architecture   string   `xml:"architecture"`
	Platform       string   `xml:"platformDetails"`
	Name           string   `xml:"name"`
	Description    string   `xml:"description"`
	RootDevice     string   `xml:"rootDeviceType"`
	Virtualization string   `xml:"virtualizationType"`
	ENA            bool     `xml:"enaSupport"`
	Reason         struct {
		Code    string `xml:"code"`
		Message string `xml:"message"`
	} `xml:"stateReason"` // of one that is not available
}

// describedImages is the answer of DescribeImages.
type describedImages struct {
	Images []machineImage `xml:"imagesSet>item"`
	Next   string         `xml:"nextToken"`
}

// ImageListCommand lists AMIs.
type ImageListCommand struct {
	MarketFlags `embed:""`
	All         bool `env:"-" help:"Also those of others that the account may use."`
}

// Run prints a line for each AMI, the newest last.
func (c *ImageListCommand) Run(app *App) error {
	m, err := c.market()
	if err != nil {
		return err
	}
	wanted := url.Values{"MaxResults": {"1000"}}
	if !c.All {
		wanted.Set("Owner.1", "self")
	}
	var list []machineImage
	for {
		var page describedImages
		if err := m.ec2(app.Ctx, "DescribeImages", wanted, &page); err != nil {
			return err
		}
		list = append(list, page.Images...)
		if page.Next == "" {
			break
		}
		wanted.Set("NextToken", page.Next)
	}
	slices.SortStableFunc(list, func(a, b machineImage) int { return cmp.Compare(a.Created, b.Created) })
	var rows [][]string
	for _, i := range list {
		seen := "private"
		if i.Public {
			seen = "public"
		}
		if i.State != images.StateAvailable {
			seen = i.State
		}
		rows = append(rows, []string{i.ID, i.Name, i.Architecture, i.Virtualization, i.Platform, i.Owner, seen, i.Created})
	}
	return app.table([]string{"AMI", "NAME", "ARCH", "TYPE", "PLATFORM", "OWNER", "SEEN", "CREATED"}, rows)
}

// ImageShowCommand shows an AMI.
type ImageShowCommand struct {
	MarketFlags `embed:""`
	ID          imageID `arg:"" help:"The AMI: ami-..."`
}

// Run prints a line for each property.
func (c *ImageShowCommand) Run(app *App) error {
	m, err := c.market()
	if err != nil {
		return err
	}
	i, err := m.image(app.Ctx, c.ID)
	if err != nil {
		return err
	}
	rows := [][]string{
		{"id", i.ID}, {"name", i.Name}, {"description", i.Description}, {"owner", i.Owner}, {"state", i.State},
		{"architecture", i.Architecture}, {"virtualization", i.Virtualization}, {"ENA", strconv.FormatBool(i.ENA)},
		{"root device", i.RootDevice}, {"platform", i.Platform}, {"product codes", strings.Join(i.ProductCodes, ", ")},
		{"image", i.Location}, {"created", i.Created}, {"public", strconv.FormatBool(i.Public)},
	}
	if i.Reason.Code != "" {
		rows = append(rows, []string{"reason", i.Reason.Message})
	}
	var shared struct {
		With []string `xml:"launchPermission>item>userId"`
	}
	err = m.ec2(app.Ctx, "DescribeImageAttribute", url.Values{"ImageId": {i.ID}, "Attribute": {"launchPermission"}}, &shared)
	switch {
	case err == nil:
		rows = append(rows, []string{"shared with", strings.Join(shared.With, ", ")})
	case code(err) != "AuthFailure" && code(err) != "UnauthorizedOperation": // only its owner sees that
		return err
	}
	return app.table([]string{"PROPERTY", "VALUE"}, rows)
}

// ImageShareCommand changes who may use an AMI.
type ImageShareCommand struct {
	MarketFlags `embed:""`
	ID          imageID     `arg:"" help:"The AMI: ami-..."`
	Account     []accountID `placeholder:"ID" env:"-" help:"An account, 12 digits; may be given several times."`
	Public      bool        `env:"-" help:"Everybody."`
	Revoke      bool        `env:"-" help:"Take the permission away."`
}

// Run changes the launch permissions and prints nothing.
func (c *ImageShareCommand) Run(app *App) error {
	if len(c.Account) == 0 && !c.Public {
		return usagef("with whom? Give --account ID (several times), or --public")
	}
	m, err := c.market()
	if err != nil {
		return err
	}
	list := "LaunchPermission.Add."
	if c.Revoke {
		list = "LaunchPermission.Remove."
	}
	wanted := url.Values{"ImageId": {string(c.ID)}}
	for n, account := range c.Account {
		wanted.Set(list+strconv.Itoa(n+1)+".UserId", string(account))
	}
	if c.Public {
		wanted.Set(list+strconv.Itoa(len(c.Account)+1)+".Group", "all")
	}
	return m.ec2(app.Ctx, "ModifyImageAttribute", wanted, nil)
}

// ImageRmCommand removes an AMI.
type ImageRmCommand struct {
	MarketFlags `embed:""`
	ID          imageID `arg:"" help:"The AMI: ami-..."`
}

// Run deregisters the AMI and prints nothing.
func (c *ImageRmCommand) Run(app *App) error {
	m, err := c.market()
	if err != nil {
		return err
	}
	return m.ec2(app.Ctx, "DeregisterImage", url.Values{"ImageId": {string(c.ID)}}, nil)
}
