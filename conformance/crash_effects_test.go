package conformance

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestCrashWhileAProductIsObtained lets the server die at each write from its
// start to the end of an account's first pull of a product. The subscription is
// written before the manifest is sent: who got that has the version for good,
// also when it is restricted. Who got no answer may have it, and only with a
// subscription.
func TestCrashWhileAProductIsObtained(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		o.Tags = "crashpoints"
		server := souktest.Start(t, o)
		vendor := server.Account(t, "vendor", "vendor")
		product := published(t, vendor.Seller(server), "vendor", "apple")
		must(t, server.Stop())

		var answered, lost []souktest.Account
		const most = 60 // writes of a start and a pull: far fewer
		for at := 1; ; at++ {
			died := false
			for _, side := range []string{"before", "after"} {
				buyer := server.Account(t, fmt.Sprintf("buyer %d %s", at, side), "")
				server.SetEnv(fmt.Sprintf("SOUK_CRASH_AT=%d:%s", at, side))
				err := server.Run()
				status := 0
				if err == nil {
					status, err = pulls(t, server, buyer)
				}
				if err == nil && status != http.StatusOK {
					t.Fatalf("write %d, %s: the pull has status %d", at, side, status)
				}
				if err == nil {
					answered = append(answered, buyer)
					must(t, server.Kill())
				} else {
					died = true
					lost = append(lost, buyer)
					select {
					case <-server.Ended():
					case <-time.After(2 * time.Minute):
						t.Fatalf("write %d, %s: the server lives, and yet: %v", at, side, err)
					}
				}
				out, err := server.Command("doctor")
				if err != nil {
					t.Fatalf("write %d, %s: souk doctor: %v\n%s", at, side, err, out)
				}
			}
			if !died {
				break
			}
			if at == most {
				t.Fatalf("the server died at each of %d writes", most)
			}
		}

		server.SetEnv()
		stranger := server.Account(t, "stranger", "")
		must(t, server.Run())
		restrict(t, vendor.Seller(server), product)
		for _, buyer := range answered {
			if status, err := pulls(t, server, buyer); err != nil || status != http.StatusOK {
				t.Errorf("account %s was given the image and can't pull it any more: status %d, %v", buyer.ID, status, err)
			}
		}
		if status, err := pulls(t, server, stranger); err != nil || status != http.StatusForbidden {
			t.Errorf("an account that never pulled: status %d, %v", status, err)
		}
		// The death after the commit and before the answer: one of them has it.
		kept := 0
		for _, buyer := range lost {
			status, err := pulls(t, server, buyer)
			must(t, err)
			switch status {
			case http.StatusOK:
				kept++
			case http.StatusForbidden:
			default:
				t.Errorf("account %s: status %d", buyer.ID, status)
			}
		}
		if kept != 1 {
			t.Errorf("%d of %d accounts without an answer have a subscription, want one: the fault did not come between the two", kept, len(lost))
		}
		if out := server.Must(t, "doctor"); !strings.Contains(out, "nothing is wrong") {
			t.Errorf("souk doctor: %s", out)
		}
	})
}

// pulls asks for the manifest of vendor/apple:1.0 and returns the status.
func pulls(t *testing.T, server *souktest.Server, by souktest.Account) (int, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v2/vendor/apple/manifests/1.0", nil)
	must(t, err)
	r.SetBasicAuth(by.Key.AccessKeyID, by.Key.SecretAccessKey)
	r.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json")
	a, err := by.Seller(server).Send(r)
	return a.Status, err
}

// restrict restricts all delivery options of a product.
func restrict(t *testing.T, s *seller.Seller, product string) {
	t.Helper()
	e, err := s.Entity(t.Context(), product)
	must(t, err)
	var shown struct {
		Versions []struct{ DeliveryOptions []struct{ ID string } }
	}
	must(t, json.Unmarshal([]byte(aws.ToString(e.Details)), &shown))
	var ids []string
	for _, v := range shown.Versions {
		for _, o := range v.DeliveryOptions {
			ids = append(ids, o.ID)
		}
	}
	// Another version keeps the product in the market.
	image, err := seller.Image("the next program of apple")
	must(t, err)
	must(t, s.Push(t.Context(), "vendor/apple", "2.0", image))
	doneBy(t, s, seller.Change("AddDeliveryOptions", product, seller.Version("2.0", s.Host()+"/vendor/apple:2.0")))
	doneBy(t, s, seller.Change("RestrictDeliveryOptions", product, seller.JSON(map[string][]string{"DeliveryOptionIds": ids})))
}

// TestCrashWhileAnImageIsPending lets the server die at each write from its
// start to the end of its reading of an image that was registered. The AMI
// becomes available, under the id that was answered.
func TestCrashWhileAnImageIsPending(t *testing.T) {
	t.Parallel()
	crashAtEach(t, tale{before: pushImage, tell: pendingImage, writes: 5, env: []string{"SOUK_CRASH_IMAGES=pending"}})
}

// theImage is what becomes an AMI.
func theImage() (v1.Image, error) {
	return seller.ImageOf(map[string]string{"etc/os-release": "ID=debian\nVERSION_ID=\"13\"\n"}, map[string]string{"etc/motd": "two layers\n"})
}

// imagePlace is HOST/NAMESPACE/ami, where the account's images lie.
func imagePlace(ctx context.Context, s *seller.Seller) (string, error) {
	var place struct {
		Repository string `xml:"repositoryUri"`
	}
	err := machines(ctx, s, &place, "GetImageRepository")
	return place.Repository, err
}

// pushImage pushes the image that is to become an AMI.
func pushImage(ctx context.Context, s *seller.Seller) error {
	place, err := imagePlace(ctx, s)
	if err != nil {
		return err
	}
	image, err := theImage()
	if err != nil {
		return err
	}
	return s.Push(ctx, strings.TrimPrefix(place, s.Host()+"/"), "pending", image)
}

// pendingImage registers an image and waits until it is available.
func pendingImage(ctx context.Context, s *seller.Seller, _ *answers) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("the image was not available within two minutes"))
	defer cancel()
	found, err := listImages(ctx, s)
	if err != nil {
		return err
	}
	id := ""
	if len(found) == 0 {
		id, err = registerImage(ctx, s)
		if err != nil {
			return err
		}
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		found, err := listImages(ctx, s)
		if err != nil {
			return err
		}
		if len(found) != 1 || id != "" && found[0].ID != id {
			return &endedWrong{fmt.Sprintf("%s was registered; there is %+v", id, found)}
		}
		switch found[0].State {
		case "available":
			return nil
		case "pending":
		default:
			return &endedWrong{fmt.Sprintf("the image is %+v", found[0])}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return &endedWrong{context.Cause(ctx).Error()}
		}
	}
}

func registerImage(ctx context.Context, s *seller.Seller) (id string, err error) {
	place, err := imagePlace(ctx, s)
	if err != nil {
		return "", err
	}
	image, err := theImage()
	if err != nil {
		return "", err
	}
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	var made struct {
		ID string `xml:"imageId"`
	}
	err = machines(ctx, s, &made, "RegisterImage", "Name", "pending", "Architecture", "x86_64", "ImageLocation", place+"@"+digest.String())
	return made.ID, err
}

func listImages(ctx context.Context, s *seller.Seller) ([]machineImage, error) {
	var all struct {
		Images []machineImage `xml:"imagesSet>item"`
	}
	err := machines(ctx, s, &all, "DescribeImages", "Owner.1", "self")
	return all.Images, err
}

type machineImage struct {
	ID    string `xml:"imageId"`
	State string `xml:"imageState"`
	Why   string `xml:"stateReason>message"`
}

// machines asks the ec2 service; parameters are names and values in turn.
func machines(ctx context.Context, s *seller.Seller, answer any, action string, parameters ...string) error {
	form := url.Values{"Action": {action}, "Version": {"2016-11-15"}}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	body := form.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/", strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking %s: %w", action, err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if err := s.SignFor(r, body, "ec2", time.Now()); err != nil {
		return err
	}
	a, err := s.Send(r)
	switch {
	case err != nil:
		return err
	case a.Status >= 500:
		return fmt.Errorf("%s: status %d: %s", action, a.Status, a.Body)
	case a.Status != http.StatusOK:
		return &endedWrong{fmt.Sprintf("%s: status %d: %s", action, a.Status, a.Body)}
	}
	return xml.Unmarshal([]byte(a.Body), answer)
}
