package conformance

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestPublisherOfTheManual: the CI user of docs/operating.md pushes an image and
// adds a version with it, and can do nothing else.
func TestPublisherOfTheManual(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/operating.md")
	must(t, err)
	shown := regexp.MustCompile("(?s)publisher\\.json.*?```json\n(.*?)```").FindSubmatch(manual)
	if shown == nil {
		t.Fatal("operating.md shows no publisher.json")
	}
	server := souktest.Start(t, souktest.Options{})
	ctx, root := t.Context(), server.Root(t)
	account, err := root.Account(ctx)
	must(t, err)
	product, err := root.Limited(ctx, "Published", "app")
	must(t, err)
	p, err := root.Product(ctx, product)
	must(t, err)
	path, err := p.RepositoryPath("app")
	must(t, err)
	ci := server.User(t, root, "ci")
	server.Allow(t, root, "ci", "publisher", strings.ReplaceAll(string(shown[1]), "210987654321", account))

	image, err := seller.Image("published by CI")
	must(t, err)
	for range 2 { // the second time all of it is there
		must(t, ci.Push(ctx, path, "ci", image))
	}
	_, err = ci.Do(ctx, seller.Change("AddDeliveryOptions", product, seller.Version("From CI", ci.Host()+"/"+path+":ci")))
	must(t, err)
	_, err = ci.Entity(ctx, product)
	must(t, err)

	_, err = ci.Start(ctx, seller.Change("UpdateInformation", product, `{"Sku":"x"}`))
	if allowed(t, err) {
		t.Error("the publisher may change what a product says of itself")
	}
	if message := seller.Message(err); !strings.Contains(message, "ContainerProduct/"+product) || !strings.Contains(message, "(change type UpdateInformation)") {
		t.Errorf("the refusal does not name the change: %s", message)
	}
	_, err = ci.Start(ctx, seller.Change("CreateProduct", "", "{}"))
	if allowed(t, err) {
		t.Error("the publisher may make products")
	}
}
