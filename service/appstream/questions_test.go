package appstream

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"souk/access/iam"
	"souk/gateway"
)

func TestQuestions(t *testing.T) {
	t.Parallel()
	policy, err := iam.ParsePolicy([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/Team":"blue"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	s := &service{Config{Tags: Tagged{"image-builder": shelf{"111122223333/us-east-1/one": {"Team": "blue"}, "999988887777/us-east-1/one": {"Team": "blue"}}}}}
	root := &gateway.Caller{Region: "us-east-1", Principal: &iam.Principal{Account: "111122223333", Root: true}}
	ann := &gateway.Caller{Region: "us-east-1", Principal: &iam.Principal{Account: "111122223333", Policies: []*iam.Policy{policy}}}
	const one = "arn:aws:appstream:us-east-1:111122223333:image-builder/one"
	blue := iam.Context{"aws:resourcetag/team": {"blue"}}
	for name, tt := range map[string]struct {
		caller *gateway.Caller
		names  []string
		want   []question
	}{
		"nobody looks at tags":   {root, []string{"one"}, []question{{Action: "appstream:Do", Resource: one}}},
		"a policy looks at tags": {ann, []string{"one"}, []question{{Action: "appstream:Do", Resource: one, Context: blue}}},
		"what is not there":      {ann, []string{"two"}, []question{{Action: "appstream:Do", Resource: "arn:aws:appstream:us-east-1:111122223333:image-builder/two"}}},
		"no name":                {ann, nil, []question{{Action: "appstream:Do", Resource: "arn:aws:appstream:us-east-1:111122223333:image-builder/*"}}},
		"two names":              {root, []string{"one", "two"}, []question{{Action: "appstream:Do", Resource: one}, {Action: "appstream:Do", Resource: "arn:aws:appstream:us-east-1:111122223333:image-builder/two"}}},
	} {
		got, err := s.onEach(t.Context(), tt.caller, "Do", builderKind, tt.names)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	const theirs = "arn:aws:appstream:us-east-1:999988887777:image-builder/one"
	got, err := s.onARN(t.Context(), ann, "Do", theirs)
	if d := cmp.Diff(question{Action: "appstream:Do", Resource: theirs}, got); err != nil || d != "" {
		t.Errorf("another account's tags are looked at: %v (-want +got):\n%s", err, d)
	}
	both := iam.Context{"aws:requesttag/team": {"red"}, "aws:tagkeys": {"Team"}}
	for _, tt := range []struct{ want, got []question }{
		{[]question{{Action: "appstream:TagResource", Resource: one, Context: both}}, tagging(one, map[string]string{"Team": "red"})},
		{nil, tagging(one, nil)},
		{[]question{{Action: "a", Context: iam.Context{"aws:tagkeys": {"Team", "Cost"}}}}, []question{withTagKeys(question{Action: "a"}, []string{"Team", "Cost"})}},
		{[]question{{Action: "iam:PassRole", Resource: "arn:aws:iam::111122223333:role/a", Context: iam.Context{"iam:passedtoservice": {"appstream.amazonaws.com"}}}}, passing("arn:aws:iam::111122223333:role/a")},
		{nil, passing("")},
		{[]question{{Action: "appstream:Do", Resource: "*"}}, onAll("Do")},
	} {
		if d := cmp.Diff(tt.want, tt.got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
}
