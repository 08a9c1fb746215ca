package experience_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"souk/catalog/experience"
)

// shelf is a Source.
type shelf struct {
	associated map[string]string
	states     map[string]*experience.Experience
	err        error
	reads      *int
}

func (s shelf) Claimed(_ context.Context, kind string, ids []string) (map[string][]byte, error) {
	*s.reads++
	found := map[string][]byte{}
	for _, id := range ids {
		if x, ok := s.associated[id]; ok && kind == "principal" {
			found[id] = []byte(x)
		}
	}
	return found, s.err
}

func (s shelf) Experiences(_ context.Context, ids []string) (map[string]*experience.Experience, error) {
	*s.reads++
	found := map[string]*experience.Experience{}
	for _, id := range ids {
		if x := s.states[id]; x != nil {
			found[id] = x
		}
	}
	return found, s.err
}

func TestTheNearestEnabledExperienceGoverns(t *testing.T) {
	t.Parallel()
	const management = "123456789012"
	path := []string{"111122223333", "ou-ab12-inner000", "ou-ab12-outer000", "r-ab12", "o-a1b2c3d4e5"}
	on, off := &experience.Experience{Enabled: true}, &experience.Experience{}
	for _, test := range []struct {
		name       string
		path       []string
		associated map[string]string
		states     map[string]*experience.Experience
		want       string
		principal  string
		reads      int
	}{
		{"nothing is associated", path, nil, nil, "", "", 1},
		{"the account is of no organisation", nil, map[string]string{management: "a"}, map[string]*experience.Experience{"a": on}, "", "", 0},
		{"the account comes before its units", path, map[string]string{path[0]: "a", path[1]: "b"}, map[string]*experience.Experience{"a": on, "b": on}, "a", path[0], 2},
		{"the inner unit comes before the outer", path, map[string]string{path[1]: "a", path[2]: "b", path[4]: "c"}, map[string]*experience.Experience{"a": on, "b": on, "c": on}, "a", path[1], 2},
		{"a disabled one is passed over", path, map[string]string{path[0]: "a", path[2]: "b"}, map[string]*experience.Experience{"a": off, "b": on}, "b", path[2], 2},
		{"the organisation comes before the default", path, map[string]string{path[4]: "a", management: "b"}, map[string]*experience.Experience{"a": on, "b": on}, "a", path[4], 2},
		{"that of the management account is the default", path, map[string]string{management: "a"}, map[string]*experience.Experience{"a": on}, "a", management, 2},
		{"all are disabled", path, map[string]string{path[0]: "a", management: "b"}, map[string]*experience.Experience{"a": off, "b": off}, "", "", 2},
		{"the management account itself", []string{management, "r-ab12", "o-a1b2c3d4e5"}, map[string]string{management: "a"}, map[string]*experience.Experience{"a": on}, "a", management, 2},
		{"others are associated", path, map[string]string{"222233334444": "a"}, map[string]*experience.Experience{"a": on}, "", "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			reads := 0
			got, err := experience.Governs(t.Context(), shelf{test.associated, test.states, nil, &reads}, test.path, management)
			if err != nil || got.ID != test.want || got.Principal != test.principal {
				t.Errorf("got %+v, %v, want %q by %q", got, err, test.want, test.principal)
			}
			if reads != test.reads {
				t.Errorf("it took %d reads, want %d", reads, test.reads)
			}
		})
	}
	broken := errors.New("broken")
	if _, err := experience.Governs(t.Context(), shelf{err: broken, reads: new(int)}, path, management); !errors.Is(err, broken) {
		t.Errorf("a failure of the store: %v", err)
	}
}

func TestAPolicyAllows(t *testing.T) {
	t.Parallel()
	products := func(ids ...string) []experience.Products {
		return []experience.Products{{Ids: []string{"prod-else"}}, {Ids: ids}}
	}
	for _, test := range []struct {
		name   string
		policy *experience.Policy
		want   bool
		reason string
	}{
		{"no policy", nil, true, "no procurement policy"},
		{"an empty policy", &experience.Policy{}, false, "does not allow"},
		{"allowed", &experience.Policy{Allow: products("prod-a")}, true, "allows"},
		{"denied", &experience.Policy{Deny: products("prod-a")}, false, "denies"},
		{"denied and allowed", &experience.Policy{Allow: products("prod-a"), Deny: products("prod-a")}, false, "denies"},
		{"another is allowed", &experience.Policy{Allow: products("prod-b")}, false, "does not allow"},
		{"another is denied", &experience.Policy{Deny: products("prod-b")}, false, "does not allow"},
	} {
		g := experience.Governing{ID: "exp-a", Experience: &experience.Experience{Enabled: true, Policy: test.policy}}
		if ok, reason := g.Allows("prod-a"); ok != test.want || !strings.Contains(reason, test.reason) || !strings.Contains(reason, "exp-a") {
			t.Errorf("%s: %t, %q", test.name, ok, reason)
		}
	}
	if ok, _ := (experience.Governing{}).Allows("prod-a"); !ok {
		t.Error("without an experience the product is not allowed")
	}
}
