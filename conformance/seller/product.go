package seller

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
)

// Information is an UpdateInformation document with all that a product needs
// before it can be released, under a title.
func Information(title string) string {
	return JSON(map[string]any{
		"ProductTitle":       title,
		"ShortDescription":   "A product that was made to see whether a market works.",
		"LongDescription":    "It has one image and one Helm chart, and nobody needs it.",
		"Sku":                "123example456",
		"Highlights":         []string{"It can be published"},
		"SearchKeywords":     []string{"conformance"},
		"SupportDescription": "Need help? Contact our experts at support@example.com",
		"Categories":         []string{"Operating Systems"},
	})
}

// JSON is the JSON of a value that has one.
func JSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("seller: %T has no JSON: %v", v, err))
	}
	return string(b)
}

// Draft creates a product with a title and returns its id.
func (s *Seller) Draft(ctx context.Context, title string) (string, error) {
	set, err := s.Do(ctx, Change("CreateProduct", "", JSON(map[string]string{"ProductTitle": title})))
	if err != nil {
		return "", fmt.Errorf("creating product %q: %w", title, err)
	}
	return EntityID(set.ChangeSet[0]), nil
}

// Limited creates a product with all its information and a repository of the
// given names, and releases it: in one change set. It returns the product's id.
func (s *Seller) Limited(ctx context.Context, title string, repositories ...string) (string, error) {
	const product = "$Create.Entity.Identifier"
	changes := []types.Change{
		Named("Create", Change("CreateProduct", "", "{}")),
		Change("UpdateInformation", product, Information(title)),
	}
	if len(repositories) > 0 {
		changes = append(changes, Change("AddRepositories", product, Repositories(repositories...)))
	}
	changes = append(changes, Change("ReleaseProduct", product, "{}"))
	done, err := s.Do(ctx, changes...)
	if err != nil {
		return "", fmt.Errorf("making limited product %q: %w", title, err)
	}
	return EntityID(done.ChangeSet[0]), nil
}

// Repositories is an AddRepositories document.
func Repositories(names ...string) string {
	type repository struct{ RepositoryName, RepositoryType string }
	list := []repository{}
	for _, n := range names {
		list = append(list, repository{n, "ECR"})
	}
	return JSON(map[string]any{"Repositories": list})
}

// Version is an AddDeliveryOptions document with one image option.
func Version(title, image string) string {
	return JSON(map[string]any{
		"Version":         map[string]any{"VersionTitle": title, "ReleaseNotes": "Notes of " + title},
		"DeliveryOptions": []any{ImageOption("Containers of "+title, image)},
	})
}

// ImageOption is a delivery option of one image, as AddDeliveryOptions takes it.
func ImageOption(title, image string) any {
	return map[string]any{
		"DeliveryOptionTitle": title,
		"Details": map[string]any{"EcrDeliveryOptionDetails": map[string]any{
			"ContainerImages":    []string{image},
			"CompatibleServices": []string{"ECS", "EKS"},
			"Description":        "Runs the image.",
			"UsageInstructions":  "Pull the image and run it.",
		}},
	}
}

// Product is what a DetailsDocument of a container product shows, as far as
// checks read it.
type Product struct {
	Versions []struct {
		Id, VersionTitle, ReleaseNotes, CreationDate string
		Sources                                      []struct {
			Id, Type, HelmChartUri string
			Images                 []string
		}
		DeliveryOptions []struct {
			Id, Type, SourceId, Title, ShortDescription, Visibility string
			Compatibility                                           struct{ AWSServices []string }
			Instructions                                            struct{ Usage string }
		}
	}
	Description struct {
		ProductTitle, ProductCode, ShortDescription, LongDescription, Visibility, Sku string
		Highlights, SearchKeywords, Categories                                        []string
	}
	PromotionalResources struct{ LogoUrl string }
	Repositories         []struct{ Url, Type string }
}

// Product describes a container product.
func (s *Seller) Product(ctx context.Context, id string) (Product, error) {
	var p Product
	out, err := s.Entity(ctx, id)
	if err != nil {
		return p, err
	}
	err = json.Unmarshal([]byte(aws.ToString(out.Details)), &p)
	if err != nil {
		return p, fmt.Errorf("reading Details of %s: %w", id, err)
	}
	return p, nil
}

// RepositoryPath returns NAMESPACE/NAME of a product's repository that ends in name.
func (p Product) RepositoryPath(name string) (string, error) {
	for _, r := range p.Repositories {
		_, path, ok := strings.Cut(r.Url, "/")
		if ok && strings.HasSuffix(path, "/"+name) {
			return path, nil
		}
	}
	return "", fmt.Errorf("the product shows no repository %q among %v", name, p.Repositories)
}
