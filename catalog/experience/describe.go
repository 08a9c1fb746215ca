package experience

// experienceShown is the DetailsDocument of an experience.
type experienceShown struct {
	Name                string
	Description         string `json:",omitempty"`
	Status              string // Enabled or Disabled
	AdminStatus         string // Editable; Restricted once it is archived
	ProcurementPolicies []string
	BrandingSettings    []string
}

func (x *Experience) describe() any {
	d := experienceShown{
		Name: x.Name, Description: x.Description, Status: statusDisabled, AdminStatus: "Editable",
		ProcurementPolicies: []string{}, BrandingSettings: []string{},
	}
	if x.Enabled {
		d.Status = statusEnabled
	}
	if x.Archived {
		d.AdminStatus = "Restricted"
	}
	if x.Policy != nil {
		d.ProcurementPolicies = []string{x.Policy.ID}
	}
	if x.Branding != nil {
		d.BrandingSettings = []string{x.Branding.ID}
	}
	return d
}

// policyShown is the DetailsDocument of a procurement policy.
type policyShown struct {
	Name          string
	Description   string `json:",omitempty"`
	Statements    []statement
	Configuration policyConfiguration
}

type statement struct {
	Effect    string // Allow or Deny
	Resources []resource
}

type resource struct {
	Type  string // Product
	Ids   []string
	Notes string `json:",omitempty"`
}

type policyConfiguration struct{ PolicyResourceRequests string }

func (p *Policy) describe() any {
	d := policyShown{Name: p.Name, Description: p.Description, Statements: []statement{}}
	for _, s := range []struct {
		effect string
		lists  []Products
	}{{"Allow", p.Allow}, {"Deny", p.Deny}} {
		if len(s.lists) == 0 {
			continue
		}
		shown := statement{Effect: s.effect}
		for _, list := range s.lists {
			shown.Resources = append(shown.Resources, resource{Type: "Product", Ids: list.Ids, Notes: list.Notes})
		}
		d.Statements = append(d.Statements, shown)
	}
	d.Configuration.PolicyResourceRequests = requestsAllow
	if p.NoRequests {
		d.Configuration.PolicyResourceRequests = requestsDeny
	}
	return d
}

// brandingShown is the DetailsDocument of branding settings.
type brandingShown struct {
	Name          string
	Description   string `json:",omitempty"`
	Configuration brandingConfiguration
}

type brandingConfiguration struct {
	Title       string
	Information string `json:",omitempty"`
	ThemeColor  string
	LogoUrl     string `json:",omitempty"`
}

// The default look. Catalog API Reference, "Changing the branding of a private
// marketplace experience".
const (
	defaultTitle      = "Private Marketplace"
	defaultThemeColor = "#232F3E"
)

func (b *Branding) describe() any {
	d := brandingShown{
		Name: b.Name, Description: b.Description,
		Configuration: brandingConfiguration{Title: b.Title, Information: b.Information, ThemeColor: b.ThemeColor, LogoUrl: b.LogoUrl},
	}
	if b.Title == "" {
		d.Configuration.Title = defaultTitle
	}
	if b.ThemeColor == "" {
		d.Configuration.ThemeColor = defaultThemeColor
	}
	return d
}

// audienceShown is the DetailsDocument of an audience.
type audienceShown struct {
	Name         string
	Description  string `json:",omitempty"`
	ExperienceId string
	Principals   []string
}

func (a *Audience) describe() any {
	d := audienceShown{Name: a.Name, Description: a.Description, ExperienceId: a.Experience, Principals: a.Principals}
	if d.Principals == nil {
		d.Principals = []string{}
	}
	return d
}
