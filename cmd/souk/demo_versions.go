package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
)

// This file has the steps of the story that add, refuse and restrict versions.

// version is an AddDeliveryOptions document of a right version.
func (s *story) version(title, notes string) string {
	return `{
            "Version": { "VersionTitle": "` + title + `", "ReleaseNotes": "` + notes + `" },
            "DeliveryOptions": [
              {
                "DeliveryOptionTitle": "Containers",
                "Details": {
                  "EcrDeliveryOptionDetails": {
                    "ContainerImages": ["` + s.image("query", title) + `"],
                    "CompatibleServices": ["ECS", "EKS"],
                    "Description": "The image alone.",
                    "UsageInstructions": "docker run ` + s.image("query", title) + `"
                  }
                }
              },
              {
                "DeliveryOptionTitle": "Helm chart",
                "Details": {
                  "HelmDeliveryOptionDetails": {
                    "ContainerImages": ["` + s.image("query", "1.0") + `"],
                    "HelmChartUri": "` + s.image(chartName, "1.0.0") + `",
                    "CompatibleServices": ["EKS"],
                    "Description": "A deployment for Kubernetes.",
                    "UsageInstructions": "helm install query oci://` + s.host + `/acme/` + chartName + ` --version 1.0.0",
                    "OverrideParameters": [
                      {
                        "Key": "license.secret",
                        "DefaultValue": "${AWSMP_LICENSE_SECRET}",
                        "Metadata": {
                          "Label": "License secret",
                          "Description": "The Kubernetes secret with your license.",
                          "Obfuscate": true
                        }
                      }
                    ]
                  }
                }
              }
            ]
          }`
}

func (s *story) addVersion(ctx context.Context) error {
	_, err := s.acme.change(ctx, "Acme Query 1.0", s.of("AddDeliveryOptions", s.version("1.0", "The first version.")), types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	s.acme.aws("marketplace-catalog describe-entity", "--catalog "+catalogName+" --entity-id "+s.product, "--query DetailsDocument.Versions")
	var p shown
	err = s.acme.describe(ctx, s.product, &p)
	if err != nil {
		return err
	}
	err = s.acme.show("DetailsDocument", "Versions")
	if err != nil {
		return err
	}
	if len(p.Versions) != 1 || p.Versions[0].VersionTitle != "1.0" || len(p.Versions[0].DeliveryOptions) != 2 {
		return fmt.Errorf("product %s does not have version 1.0 with two delivery options", s.product)
	}
	s.tell.good("version 1.0 has its two delivery options; its image is pinned to %s", s.digest)
	return nil
}

func (s *story) wrongVersion(ctx context.Context) error {
	failed, err := s.acme.change(ctx, "A wrong version", s.of("AddDeliveryOptions", `{
            "Version": { "VersionTitle": "1.0", "ReleaseNotes": "The same again." },
            "DeliveryOptions": [
              {
                "DeliveryOptionTitle": "Containers",
                "Details": {
                  "EcrDeliveryOptionDetails": {
                    "ContainerImages": ["`+s.image("query", "latest")+`"],
                    "CompatibleServices": ["Lambda"],
                    "Description": "Whatever is newest.",
                    "UsageInstructions": ""
                  }
                }
              }
            ]
          }`), types.ChangeStatusFailed)
	if err != nil {
		return err
	}
	s.acme.aws("marketplace-catalog describe-change-set", "--catalog "+catalogName+" --change-set-id "+aws.ToString(failed.ChangeSetId),
		"--query 'ChangeSet[0].ErrorDetailList'")
	err = s.acme.show("ChangeSet", "ErrorDetailList")
	if err != nil {
		return err
	}
	var got []string
	for _, e := range failed.ChangeSet[0].ErrorDetailList {
		got = append(got, aws.ToString(e.ErrorCode))
	}
	for _, want := range []string{"DUPLICATE_VERSION_TITLE", "INVALID_CONTAINER_IMAGE_TAG", "INCOMPATIBLE_SERVICES", "INVALID_USAGE_INSTRUCTIONS"} {
		if !slices.Contains(got, want) {
			return fmt.Errorf("the error list lacks %s: %v", want, got)
		}
	}
	s.tell.good("all %d mistakes are named, and the product is as it was", len(got))
	return nil
}

func (s *story) restrict(ctx context.Context) error {
	img, err := demoImage("1.1")
	if err != nil {
		return err
	}
	_, err = s.pushOne(ctx, "docker push "+s.image("query", "1.1"), s.image("query", "1.1"), img)
	if err != nil {
		return err
	}
	_, err = s.acme.change(ctx, "Acme Query 1.1", s.of("AddDeliveryOptions", s.version("1.1", "It answers faster.")), types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	old, err := s.options(ctx, "1.0")
	if err != nil {
		return err
	}
	ids := strings.Join(slices.Collect(func(yield func(string) bool) {
		for _, o := range old {
			if !yield(`"` + o.Id + `"`) {
				return
			}
		}
	}), ", ")
	_, err = s.acme.change(ctx, "Restrict Acme Query 1.0", s.of("RestrictDeliveryOptions", `{ "DeliveryOptionIds": [`+ids+`] }`), types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	for title, want := range map[string]string{"1.0": "Restricted", "1.1": "Public"} {
		options, err := s.options(ctx, title)
		if err != nil {
			return err
		}
		for _, o := range options {
			if o.Visibility != want {
				return fmt.Errorf("option %s of version %s is %s, want %s", o.Id, title, o.Visibility, want)
			}
		}
	}
	s.tell.good("version 1.0 is Restricted, version 1.1 is Public")
	return nil
}

// option is a delivery option as DescribeEntity shows it.
type option struct{ Id, Visibility string }

// options returns the delivery options of a version.
func (s *story) options(ctx context.Context, title string) ([]option, error) {
	var p shown
	err := s.acme.describe(ctx, s.product, &p)
	if err != nil {
		return nil, err
	}
	var found []option
	for _, v := range p.Versions {
		if v.VersionTitle != title {
			continue
		}
		for _, o := range v.DeliveryOptions {
			found = append(found, option{o.Id, o.Visibility})
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("product %s has no version %s", s.product, title)
	}
	return found, nil
}
