package conformance

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
)

// products checks a container product's life, with a real image and chart.
func products() []Check {
	return []Check{
		{"product/published", "A product goes from CreateProduct to a public version with its image and chart.", publishes},
		{"product/image-not-found", "A version of an image that nobody pushed is refused.", imageNotFound},
		{"product/release-too-early", "ReleaseProduct says what is missing.", releaseTooEarly},
	}
}

var productID = regexp.MustCompile(`^prod-[a-z0-9]{13}$`)
var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func publishes(ctx context.Context, v *Visit) error {
	title, repository, charts := "Published "+v.Unique, "app-"+v.Unique, "chart-"+v.Unique
	product, err := v.Limited(ctx, title, repository, charts)
	if err != nil {
		return err
	}
	v.Want(productID.MatchString(product), "the product's id is %q, want prod- and 13 letters and digits", product)
	p, err := v.Product(ctx, product)
	if err != nil {
		return err
	}
	path, err := p.RepositoryPath(repository)
	if err != nil {
		return err
	}
	chartPath, err := p.RepositoryPath(charts)
	if err != nil {
		return err
	}
	image, err := seller.Image("the program", "its data")
	if err != nil {
		return err
	}
	err = v.Push(ctx, path, "1.0", image)
	if err != nil {
		return err
	}
	uri := v.Host() + "/" + path + ":1.0"
	chart, err := seller.Chart(charts, "1.0.0", uri)
	if err != nil {
		return err
	}
	err = v.Push(ctx, chartPath, "1.0.0", chart)
	if err != nil {
		return err
	}
	version := map[string]any{
		"Version": map[string]any{"VersionTitle": "1.0", "ReleaseNotes": "First."},
		"DeliveryOptions": []any{
			seller.ImageOption("Containers", uri),
			map[string]any{"DeliveryOptionTitle": "Chart", "Details": map[string]any{"HelmDeliveryOptionDetails": map[string]any{
				"CompatibleServices": []string{"EKS"}, "ContainerImages": []string{uri},
				"HelmChartUri": v.Host() + "/" + chartPath + ":1.0.0",
				"Description":  "Installs the chart.", "UsageInstructions": "helm install it.",
				"OverrideParameters": []any{map[string]any{"Key": "HelmKeyName1", "DefaultValue": "uno",
					"Metadata": map[string]any{"Label": "One", "Description": "The first", "Obfuscate": false}}},
			}}},
		},
	}
	_, err = v.Do(ctx, seller.Change("AddDeliveryOptions", product, seller.JSON(version)))
	if err != nil {
		return err
	}
	_, err = v.Do(ctx, seller.Change("UpdateVisibility", product, `{"TargetVisibility":"Public"}`))
	if err != nil {
		return err
	}
	p, err = v.Product(ctx, product)
	if err != nil {
		return err
	}
	v.Want(p.Description.ProductTitle == title && p.Description.Visibility == "Public", "the product is %q, %s, want %q, Public", p.Description.ProductTitle, p.Description.Visibility, title)
	if len(p.Versions) != 1 || len(p.Versions[0].DeliveryOptions) != 2 || len(p.Versions[0].Sources) == 0 {
		return fmt.Errorf("the product shows other than one version with two options and its sources: %+v", p.Versions)
	}
	one := p.Versions[0]
	v.Want(one.VersionTitle == "1.0" && one.ReleaseNotes == "First." && uuid.MatchString(one.Id), "the version is %+v", one)
	sources := map[string]string{}
	for _, s := range one.Sources {
		sources[s.Id] = s.Type
		v.Want(uuid.MatchString(s.Id), "the source's id is %q, want a UUID", s.Id)
		if s.Type == "DockerImages" {
			v.Want(len(s.Images) == 1 && strings.Contains(s.Images[0], path), "the source shows the images %v, want %s", s.Images, uri)
		}
	}
	for i, want := range []struct{ title, kind, source string }{
		{"Containers", "ElasticContainerRegistry", "DockerImages"},
		{"Chart", "Helm", "HelmChart"},
	} {
		o := one.DeliveryOptions[i]
		v.Want(o.Title == want.title && o.Type == want.kind && sources[o.SourceId] == want.source && uuid.MatchString(o.Id), "option %d is %+v with source %q, want %+v", i+1, o, sources[o.SourceId], want)
		v.Want(o.Visibility == "Public", "option %q is %s, want Public", o.Title, o.Visibility)
		v.Want(o.ShortDescription != "" && o.Instructions.Usage != "" && len(o.Compatibility.AWSServices) > 0, "option %q lacks what it was given: %+v", o.Title, o)
	}
	_, err = v.Do(ctx, seller.Change("RestrictDeliveryOptions", product, seller.JSON(map[string]any{"DeliveryOptionIds": []string{one.DeliveryOptions[0].Id}})))
	if err != nil {
		return err
	}
	failed, err := v.Do(ctx, seller.Change("RestrictDeliveryOptions", product, seller.JSON(map[string]any{"DeliveryOptionIds": []string{one.DeliveryOptions[1].Id}})))
	if failed == nil {
		return fmt.Errorf("restricting the last public option: %w", err)
	}
	v.Want(strings.Contains(seller.Refusals(failed), "INVALID_MINIMUM_PUBLIC_DELIVERY_OPTIONS: Cannot restrict all delivery option IDs."), "restricting the last public option: %s", seller.Refusals(failed))
	return nil
}

func imageNotFound(ctx context.Context, v *Visit) error {
	product, err := v.Limited(ctx, "No image "+v.Unique, "none-"+v.Unique)
	if err != nil {
		return err
	}
	p, err := v.Product(ctx, product)
	if err != nil {
		return err
	}
	path, err := p.RepositoryPath("none-" + v.Unique)
	if err != nil {
		return err
	}
	id, err := v.Start(ctx, seller.Change("AddDeliveryOptions", product, seller.Version("1.0", v.Host()+"/"+path+":1.0")))
	if err != nil {
		return err
	}
	set, err := v.Wait(ctx, id)
	if err != nil {
		return err
	}
	v.Want(set.Status == types.ChangeStatusFailed, "the set is %s, want FAILED", set.Status)
	v.Want(strings.Contains(seller.Refusals(set), "IMAGE_NOT_FOUND: Provide a valid public image URI."), "the errors are %s", seller.Refusals(set))
	return nil
}

func releaseTooEarly(ctx context.Context, v *Visit) error {
	product, err := v.Draft(ctx, "Too early "+v.Unique)
	if err != nil {
		return err
	}
	id, err := v.Start(ctx, seller.Change("ReleaseProduct", product, "{}"))
	if err != nil {
		return err
	}
	set, err := v.Wait(ctx, id)
	if err != nil {
		return err
	}
	v.Want(set.Status == types.ChangeStatusFailed && len(set.ChangeSet[0].ErrorDetailList) > 0, "the set is %s without an error of the change", set.Status)
	for _, e := range set.ChangeSet[0].ErrorDetailList {
		v.Want(aws.ToString(e.ErrorCode) == "VALIDATION_FAILED" || aws.ToString(e.ErrorCode) == "MISSING_DATA", "the code is %s", aws.ToString(e.ErrorCode))
	}
	return nil
}
