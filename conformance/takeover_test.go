package conformance

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestTakeover: of two nodes on one database one is killed (kill -9) while its
// change sets are under way. The other finishes them within seconds, each once.
func TestTakeover(t *testing.T) {
	t.Parallel()
	logos := souktest.ServeLogos(t)
	shared := t.TempDir()
	o := souktest.Options{Database: freshPostgres(t), Blobs: filepath.Join(shared, "blobs"), KeyFile: filepath.Join(shared, "key")}
	first := souktest.Start(t, o)
	second := souktest.Start(t, o)
	one := first.Root(t)
	key, err := first.RootKey()
	must(t, err)
	other := key.Seller(second)
	ctx := t.Context()

	const n = 8
	products, sets := make([]string, n), make([]string, n)
	for i := range n {
		products[i], err = one.Limited(ctx, fmt.Sprintf("Taken %d", i))
		must(t, err)
	}
	for i := range n {
		sets[i] = slowly(t, one, logos, products[i], fmt.Sprintf("logo-%d", i))
	}
	// What the dead node had asked for comes when nobody waits for it any more.
	must(t, first.Kill())
	for i := range n {
		logos.Release(fmt.Sprintf("logo-%d", i))
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for i := range n {
		set, err := other.Wait(ctx, sets[i])
		must(t, err)
		if set.Status != types.ChangeStatusSucceeded {
			t.Errorf("set %s is %s: %s", sets[i], set.Status, seller.Refusals(set))
		}
		e, err := other.Entity(ctx, products[i])
		must(t, err)
		if want := products[i] + "@2"; aws.ToString(e.EntityIdentifier) != want {
			t.Errorf("product %s is %s, want %s: applied once", products[i], aws.ToString(e.EntityIdentifier), want)
		}
	}
	// The dead node comes back and finds nothing to do.
	must(t, first.Run())
	back := key.Seller(first)
	_, err = back.Do(ctx, seller.Change("UpdateInformation", products[0], `{"Sku":"back"}`))
	must(t, err)
	must(t, first.Stop())
	must(t, second.Stop())
	out, err := first.Command("doctor")
	if err != nil {
		t.Errorf("souk doctor: %v\n%s", err, out)
	}
}
