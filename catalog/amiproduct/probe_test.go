package amiproduct_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"souk/catalog/change"
)

// probed runs AddDeliveryOptions up to the world's answer.
func (i item) probed(t *testing.T, details string) ([]change.Refusal, error) {
	t.Helper()
	decoded, refusals := i.Refusals("AddDeliveryOptions", []byte(details))
	if len(refusals) > 0 {
		t.Fatalf("refused before the world is asked: %+v", refusals)
	}
	c, err := i.Probe(t.Context(), "AddDeliveryOptions", decoded)
	return c.Refusals(), err
}

func TestWithoutAScannerNothingIsScanned(t *testing.T) {
	t.Parallel()
	i := given(t, "chosen")
	i.world.unscanned = true
	i.add(t, "with-findings", "1.0")
	if len(i.world.scanned) > 0 {
		t.Errorf("scanned %q", i.world.scanned)
	}
}

func TestWhatIsRefusedIsNotCopied(t *testing.T) {
	t.Parallel()
	i := given(t, "chosen")
	for _, name := range []string{"with-findings", "with-code", "unreadable", "store"} {
		refusals, err := i.probed(t, i.details(name, "1.0", "m5.large"))
		if err != nil || len(refusals) == 0 {
			t.Errorf("%s: got %+v, %v, want a refusal", name, refusals, err)
		}
	}
	if len(i.world.published) > 0 {
		t.Errorf("copied %q", i.world.published)
	}
	if want := []string{i.world.amis["with-findings"].ID}; !slices.Equal(i.world.scanned, want) {
		t.Errorf("scanned %q, want only what could be listed, %q", i.world.scanned, want)
	}
}

func TestACopyThatFailsIsTheSellersFaultOnlyIfTheAMIIsUnreadable(t *testing.T) {
	t.Parallel()
	i := given(t, "chosen")
	i.world.copyFails = fmt.Errorf("copying: %w", change.ErrAMIUnreadable)
	refusals, err := i.probed(t, i.details("good", "1.0", "m5.large"))
	if err != nil || len(refusals) != 1 || refusals[0].ErrorCode != "ASSET_ACCESS_EXCEPTION" {
		t.Errorf("an unreadable AMI: got %+v, %v", refusals, err)
	}
	i.world.copyFails = errors.New("the disk is full")
	refusals, err = i.probed(t, i.details("good", "1.0", "m5.large"))
	if !errors.Is(err, i.world.copyFails) || len(refusals) != 0 {
		t.Errorf("a full disk: got %+v, %v, want an error that is tried again", refusals, err)
	}
}

func TestARoleThatMayNotShareTheAMIIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		role roleOfAMI
		want int
	}{
		"a role that is not there": {roleOfAMI{}, 0},
		"a role that may share it": {roleOfAMI{there: true, allowed: true}, 0},
		"a role that may not":      {roleOfAMI{there: true}, 1},
	} {
		i := given(t, "chosen")
		i.world.role = c.role
		refusals, err := i.probed(t, i.details("good", "1.0", "m5.large"))
		if err != nil || len(refusals) != c.want || c.want > 0 && refusals[0].ErrorCode != "ASSET_ACCESS_EXCEPTION" {
			t.Errorf("%s: %+v, %v", name, refusals, err)
		}
	}
}

func TestAFaultOfAnAMIIsToldOnceForEachRow(t *testing.T) {
	t.Parallel()
	i := given(t, "versioned")
	refusals, err := i.probed(t, i.details("paravirtual", "2.0", "m5.large"))
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, refusal := range refusals {
		codes = append(codes, refusal.ErrorCode)
	}
	if want := []string{"INVALID_AMI_VIRTUALIZATION_TYPE", "INCOMPATIBLE_AMI"}; !slices.Equal(codes, want) {
		t.Errorf("refused with %q, want %q", codes, want)
	}
}
