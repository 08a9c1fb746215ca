package organizations

import (
	"context"
	"strings"

	"souk/access/organization"
	"souk/gateway/awsjson"
)

// Organization is the organisation.
type Organization struct {
	Id                   string
	Arn                  string
	FeatureSet           string
	MasterAccountArn     string
	MasterAccountId      string
	MasterAccountEmail   string
	AvailablePolicyTypes []PolicyType // none: policies of organisations are not offered
}

// PolicyType is a type of policies of an organisation.
type PolicyType struct {
	Type   string
	Status string
}

// Account is an account of the organisation.
type Account struct {
	Id              string
	Arn             string
	Email           string
	Name            string
	Status          string
	State           string
	Paths           []string
	JoinedMethod    string
	JoinedTimestamp awsjson.Time
}

// OrganizationalUnit is a unit.
type OrganizationalUnit struct {
	Id   string
	Arn  string
	Name string
	Path string
}

// Root is the root of the organisation's tree.
type Root struct {
	Id          string
	Arn         string
	Name        string
	PolicyTypes []PolicyType
}

// CreateAccountStatus is a request to make an account.
type CreateAccountStatus struct {
	Id                 string
	AccountName        string
	State              string
	RequestedTimestamp awsjson.Time
	CompletedTimestamp *awsjson.Time `json:",omitzero"`
	AccountId          string        `json:",omitzero"`
	FailureReason      string        `json:",omitzero"`
}

// arn is the ARN of an account, a unit or the root.
func arn(info organization.Info, id string) string {
	switch {
	case strings.HasPrefix(id, "ou-"):
		return info.UnitARN(id)
	case strings.HasPrefix(id, "r-"):
		return strings.TrimSuffix(info.RootARN(), info.Root()) + id
	}
	return info.AccountARN(id)
}

func shownUnit(info organization.Info, u organization.Unit) OrganizationalUnit {
	return OrganizationalUnit{Id: u.ID, Arn: info.UnitARN(u.ID), Name: u.Name, Path: path(info, u)}
}

// path is where a unit is, from the organisation down, with a slash at the end.
func path(info organization.Info, u organization.Unit) string {
	return info.ID + "/" + strings.Join(u.Above, "/") + "/" + u.ID + "/"
}

// shownAccounts are accounts as this service shows them.
func (s *service) shownAccounts(ctx context.Context, info organization.Info, accounts []organization.Account) ([]Account, error) {
	shown := make([]Account, len(accounts))
	paths := map[string]string{"": info.ID + "/" + info.Root() + "/"}
	for i, a := range accounts {
		in, known := paths[a.Parent]
		if !known {
			u, err := s.organization.Unit(ctx, a.Parent)
			if err != nil {
				return nil, err
			}
			in = path(info, u)
			paths[a.Parent] = in
		}
		shown[i] = Account{
			Id: a.ID, Arn: info.AccountARN(a.ID), Email: a.Address(), Name: a.Name,
			Status: "ACTIVE", State: "ACTIVE", Paths: []string{in + a.ID + "/"},
			JoinedMethod: "CREATED", JoinedTimestamp: awsjson.Time{Time: a.Created},
		}
		if !a.Closed.IsZero() {
			shown[i].Status, shown[i].State = "SUSPENDED", "CLOSED"
		}
		if a.Management {
			shown[i].JoinedMethod = "INVITED" // as AWS says of the account that makes an organisation
		}
	}
	return shown, nil
}

func shownStatus(c organization.Creation) CreateAccountStatus {
	s := CreateAccountStatus{
		Id: c.ID, AccountName: c.Name, State: c.State, RequestedTimestamp: awsjson.Time{Time: c.Requested},
		AccountId: c.Account, FailureReason: c.Reason,
	}
	if !c.Completed.IsZero() {
		s.CompletedTimestamp = &awsjson.Time{Time: c.Completed}
	}
	return s
}
