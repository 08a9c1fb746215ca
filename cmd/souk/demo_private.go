package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	organizationstypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// This file has the steps of the story about the private marketplace: what an
// account of the organisation may obtain is decided by an administrator, and
// holds where software is obtained.

// private is what the steps know of the private marketplace.
type private struct {
	ada        *shopper // the administrator, a user of the management account
	department string   // account whose private marketplace it is
	member     *shopper // ada in the department's account
	denied     string   // product that the department may not obtain
	experience string
}

// sellAnother publishes a second container product, to have one to deny.
func (s *story) sellAnother(ctx context.Context) error {
	of := func(id, changeType, details string) string {
		return changeOf("ContainerProduct", id, changeType, details)
	}
	done, err := s.acme.change(ctx, "Acme Probe", `[
        {
          "ChangeType": "CreateProduct",
          "ChangeName": "Product",
          "Entity": { "Type": "ContainerProduct@1.0" },
          "DetailsDocument": { "ProductTitle": "Acme Probe" }
        },
        `+of(createdProduct, "UpdateInformation", `{
            "LogoUrl": "`+s.logo+`",
            "ShortDescription": "Looks into your network.",
            "LongDescription": "Acme Probe looks into your network and reports to Acme.",
            "Highlights": ["Looks everywhere"],
            "SupportDescription": "Write to support@example.com.",
            "Categories": ["Databases"],
            "SearchKeywords": ["probe"]
          }`)+`,
        `+of(createdProduct, "AddRepositories", `{ "Repositories": [{ "RepositoryName": "probe", "RepositoryType": "ECR" }] }`)+`,
        `+of(createdProduct, "ReleaseProduct", "{}")+`
      ]`, types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	s.private.denied = bare(aws.ToString(done.ChangeSet[0].Entity.Identifier))
	img, err := demoImage("of the probe")
	if err != nil {
		return err
	}
	image := s.image("probe", "1.0")
	if _, err := s.pushOne(ctx, "docker push "+image, image, img); err != nil {
		return err
	}
	_, err = s.acme.change(ctx, "Acme Probe 1.0", `[
        `+of(s.private.denied, "AddDeliveryOptions", `{
            "Version": { "VersionTitle": "1.0", "ReleaseNotes": "The first version." },
            "DeliveryOptions": [{
              "DeliveryOptionTitle": "Container",
              "Details": {
                "EcrDeliveryOptionDetails": {
                  "ContainerImages": ["`+image+`"],
                  "CompatibleServices": ["EKS"],
                  "Description": "The image alone.",
                  "UsageInstructions": "docker run `+image+`"
                }
              }
            }]
          }`)+`
      ]`, types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	_, err = s.acme.change(ctx, "Open Acme Probe", `[
        `+of(s.private.denied, "UpdateVisibility", `{ "TargetVisibility": "Public" }`)+`
      ]`, types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	s.tell.good("product %s is Public, as %s is", s.private.denied, s.product)
	return nil
}

// enter makes an account and an administrator with the AWS CLI's own services,
// and enters the account by a role.
func (s *story) enter(ctx context.Context) error {
	account, err := s.createAccount(ctx, "Initech Research", "research@example.com")
	if err != nil {
		return err
	}
	s.private.department = account
	if err := s.createAdministrator(ctx, "ada"); err != nil {
		return err
	}
	ada, role := s.private.ada, "arn:aws:iam::"+account+":role/OrganizationAccountAccessRole"
	ada.become("sts assume-role", "--role-arn "+role+" --role-session-name ada", "Credentials")
	entered, err := ada.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("ada")})
	if err != nil {
		return err
	}
	c := entered.Credentials
	s.private.member = newShopper(s.tell, "Ada, in the account of Initech Research", ada.url,
		aws.ToString(c.AccessKeyId), aws.ToString(c.SecretAccessKey), aws.ToString(c.SessionToken))
	got, err := s.private.member.identity(ctx)
	if err != nil {
		return err
	}
	if got != account {
		return fmt.Errorf("the session in account %s belongs to %s", account, got)
	}
	s.tell.good("no key of account %s was made or handed over; the session ends in an hour", account)
	return nil
}

// become prints a command whose answer has keys, as a shell takes them over:
// with the member of the answer that has them. Nobody needs to see them.
func (s *shopper) become(command, options, member string) {
	format, keys := "AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s", "AccessKeyId,SecretAccessKey"
	if member == "Credentials" {
		format, keys = format+" AWS_SESSION_TOKEN=%s", keys+",SessionToken"
	}
	s.command("export $(printf '"+format+"' $(aws "+command, "--endpoint-url "+s.url+" --region "+region,
		options, "--query '"+member+".["+keys+"]' --output text))")
}

// createAccount makes an account of the organisation and waits until it is made.
func (s *story) createAccount(ctx context.Context, name, email string) (id string, err error) {
	client := organizations.NewFromConfig(s.root.config)
	s.root.aws("organizations create-account", "--account-name '"+name+"' --email "+email, "--query CreateAccountStatus.Id")
	asked, err := client.CreateAccount(ctx, &organizations.CreateAccountInput{AccountName: aws.String(name), Email: aws.String(email)})
	if err != nil {
		return "", err
	}
	if err := s.root.show("CreateAccountStatus", "Id"); err != nil {
		return "", err
	}
	request := asked.CreateAccountStatus.Id
	s.root.aws("organizations describe-create-account-status", "--create-account-request-id "+aws.ToString(request))
	err = again(ctx, "the account of "+name, calmly, func() (bool, error) {
		out, err := client.DescribeCreateAccountStatus(ctx, &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: request})
		if err != nil {
			return false, err
		}
		id = aws.ToString(out.CreateAccountStatus.AccountId)
		if out.CreateAccountStatus.State == organizationstypes.CreateAccountStateFailed {
			return false, fmt.Errorf("making the account of %s failed: %s", name, out.CreateAccountStatus.FailureReason)
		}
		return out.CreateAccountStatus.State == organizationstypes.CreateAccountStateSucceeded, nil
	})
	if err != nil {
		return "", err
	}
	return id, s.root.show("CreateAccountStatus")
}

// createAdministrator makes a user of the management account who runs private
// marketplaces and may enter the department's account, and can do nothing else.
func (s *story) createAdministrator(ctx context.Context, name string) error {
	client := iam.NewFromConfig(s.root.config)
	s.root.aws("iam create-user", "--user-name "+name, "--query User.Arn")
	user, err := client.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String(name)})
	if err != nil {
		return err
	}
	arn, err := json.Marshal(aws.ToString(user.User.Arn))
	if err != nil {
		return err
	}
	s.tell.answer(arn)
	const managed = "arn:aws:iam::aws:policy/AWSPrivateMarketplaceAdminFullAccess"
	s.root.aws("iam attach-user-policy", "--user-name "+name+" --policy-arn "+managed)
	_, err = client.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: aws.String(name), PolicyArn: aws.String(managed)})
	if err != nil {
		return err
	}
	policy := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole",
        "Resource":"arn:aws:iam::` + s.private.department + `:role/OrganizationAccountAccessRole"}}`
	s.root.aws("iam put-user-policy", "--user-name "+name+" --policy-name enter", "--policy-document '"+policy+"'")
	_, err = client.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
		UserName: aws.String(name), PolicyName: aws.String("enter"), PolicyDocument: aws.String(policy),
	})
	if err != nil {
		return err
	}
	s.root.become("iam create-access-key", "--user-name "+name, "AccessKey")
	key, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String(name)})
	if err != nil {
		return err
	}
	s.private.ada = newShopper(s.tell, "Ada, a user of the management account", s.root.url,
		aws.ToString(key.AccessKey.AccessKeyId), aws.ToString(key.AccessKey.SecretAccessKey), "")
	return nil
}

// decide makes a private marketplace from nothing to one with effect.
func (s *story) decide(ctx context.Context) error {
	of := func(changeType, details string) string {
		return changeOf("Experience", "$Team.Entity.Identifier", changeType, details)
	}
	ada := s.private.ada
	done, err := ada.change(ctx, "A private marketplace", `[
        {
          "ChangeType": "CreateExperience",
          "ChangeName": "Team",
          "Entity": { "Type": "Experience@1.0" },
          "DetailsDocument": { "Name": "For the research" }
        },
        `+of("CreateBrandingSettings", `{
            "Name": "Look",
            "Configuration": { "Title": "Initech Research", "ThemeColor": "#0e7f74", "LogoUrl": "`+s.logo+`" }
          }`)+`,
        `+of("AssociateAudience", `{ "Name": "Research", "Principals": ["`+s.private.department+`"] }`)+`,
        `+of("CreateProcurementPolicy", `{ "Name": "What the research needs" }`)+`,
        `+of("AllowProductProcurement", `{ "Products": [{ "Ids": ["`+s.product+`"] }] }`)+`,
        `+of("DenyProductProcurement", `{ "Products": [{ "Ids": ["`+s.private.denied+`"] }] }`)+`,
        `+of("UpdateExperience", `{ "Status": "Enabled" }`)+`
      ]`, types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	s.private.experience = bare(aws.ToString(done.ChangeSet[0].Entity.Identifier))
	ada.aws("marketplace-catalog describe-entity", "--catalog "+catalogName+" --entity-id "+s.private.experience, "--query DetailsDocument")
	var experience struct {
		Status           string
		BrandingSettings []string
	}
	if err := ada.describe(ctx, s.private.experience, &experience); err != nil {
		return err
	}
	if err := ada.show("DetailsDocument"); err != nil {
		return err
	}
	if experience.Status != "Enabled" || len(experience.BrandingSettings) != 1 {
		return fmt.Errorf("experience %s is %s with looks %v, want Enabled with one", s.private.experience, experience.Status, experience.BrandingSettings)
	}
	look := experience.BrandingSettings[0]
	ada.aws("marketplace-catalog describe-entity", "--catalog "+catalogName+" --entity-id "+look, "--query DetailsDocument.Configuration.LogoUrl")
	var branding struct{ Configuration struct{ LogoUrl string } }
	if err := ada.describe(ctx, look, &branding); err != nil {
		return err
	}
	if err := ada.show("DetailsDocument", "Configuration", "LogoUrl"); err != nil {
		return err
	}
	if kept := branding.Configuration.LogoUrl; kept == s.logo {
		return errors.New("the logo of the private marketplace is not the market's own copy")
	} else if err := fetchPicture(ctx, kept); err != nil {
		return err
	}
	s.tell.good("the private marketplace is Enabled, with a logo that the market has made small enough")
	return nil
}

// obtain pulls with the department's account what is allowed and what is denied.
func (s *story) obtain(ctx context.Context) error {
	member := s.private.member
	member.command("aws ecr get-login-password --endpoint-url "+member.url+" --region "+region+" |",
		"skopeo login --tls-verify=false --username AWS --password-stdin "+s.host)
	out, err := ecr.NewFromConfig(member.config).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return err
	}
	if len(out.AuthorizationData) != 1 {
		return fmt.Errorf("%d tokens for the registry, want 1", len(out.AuthorizationData))
	}
	token, err := base64.StdEncoding.DecodeString(aws.ToString(out.AuthorizationData[0].AuthorizationToken))
	if err != nil {
		return fmt.Errorf("reading the registry's token: %w", err)
	}
	user, password, _ := strings.Cut(string(token), ":")
	login := remote.WithAuth(&authn.Basic{Username: user, Password: password})

	pull := func(repository, tag string) error {
		image := s.image(repository, tag)
		member.command("skopeo copy --src-tls-verify=false docker://" + image + " oci:" + repository + ":" + tag)
		ref, err := name.ParseReference(image, name.Insecure)
		if err != nil {
			return err
		}
		img, err := remote.Image(ref, login, remote.WithContext(ctx))
		if err != nil {
			return err
		}
		if err := validate.Image(img); err != nil {
			return fmt.Errorf("pulling %s: %w", image, err)
		}
		digest, err := img.Digest()
		if err == nil {
			s.tell.good("pulled %s", digest)
		}
		return err
	}
	if err := pull("query", "1.1"); err != nil {
		return err
	}
	err = pull("probe", "1.0")
	var refused *transport.Error
	if !errors.As(err, &refused) || len(refused.Errors) != 1 {
		return fmt.Errorf("pulling what is denied ended with %v, want a refusal", err)
	}
	why := refused.Errors[0]
	// As skopeo says it.
	s.tell.bad("reading manifest 1.0 in %s/acme/probe: %s: %s", s.host, strings.ToLower(string(why.Code)), why.Message)
	if why.Code != transport.DeniedErrorCode || !strings.Contains(why.Message, s.private.experience) || !strings.Contains(why.Message, s.private.denied) {
		return errors.New("the refusal does not name the private marketplace and the product")
	}
	s.tell.good("the private marketplace holds where images are pulled, and the refusal says why")
	return nil
}
