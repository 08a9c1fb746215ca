package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"souk/conformance/seller"
)

// networkTable is what the operator of the market says that there is.
const networkTable = `
interfaces: 2
subnets:
  - {id: subnet-0a1b2c3d, addresses: 1, vpc: vpc-0a1b2c3d}
  - {id: subnet-11111111}
security-groups:
  - {id: sg-0a1b2c3d, vpc: vpc-0a1b2c3d}
  - {id: sg-11111111, vpc: vpc-11111111}
`

// serviceRole makes the role by which AppStream works in an account's networks, or
// changes what it may do.
func serviceRole(t *testing.T, s *seller.Seller, actions ...string) {
	t.Helper()
	identities := iam.New(iam.Options{
		Region: "us-east-1", BaseEndpoint: &s.URL, RetryMaxAttempts: 10,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, ""),
	})
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"appstream.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	name := aws.String("AmazonAppStreamServiceAccess")
	if len(actions) == 0 {
		_, err := identities.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: name, Path: aws.String("/service-role/"), AssumeRolePolicyDocument: aws.String(trust)})
		must(t, err)
		return
	}
	may := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["%s"],"Resource":"*"}]}`, strings.Join(actions, `","`))
	_, err := identities.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: name, PolicyName: name, PolicyDocument: &may})
	must(t, err)
}

// fails makes an image builder and returns the codes of what stood in its way; ""
// if it runs. It is gone afterwards unless it runs.
func (a *apps) fails(name string, pairs ...any) string {
	a.t.Helper()
	a.ask("CreateImageBuilder", in(append([]any{"Name", name, "InstanceType", "stream.standard.medium", "ImageName", baseImage, "EnableDefaultInternetAccess", false}, pairs...)...), nil)
	var b imageBuilder
	until(a.t, name+" ends", func() bool {
		b = a.one(name)
		return b.State != "PENDING"
	})
	if b.State == "RUNNING" {
		return ""
	}
	var codes []string
	for _, e := range b.ImageBuilderErrors {
		codes = append(codes, e.ErrorCode)
		if e.ErrorMessage == "" {
			a.t.Errorf("%s says nothing of %s", name, e.ErrorCode)
		}
	}
	if b.State != "FAILED" || b.StateChangeReason == nil {
		a.t.Errorf("%s is %s: %+v", name, b.State, b.StateChangeReason)
	}
	a.ask("DeleteImageBuilder", in("Name", name), nil)
	a.gone(name)
	return strings.Join(codes, " ")
}

func vpc(subnet string, groups ...string) map[string][]string {
	return map[string][]string{"SubnetIds": {subnet}, "SecurityGroupIds": groups}
}

// networks: networks and the service role, each with what a builder is told that
// lacks it.
func (a *apps) networks() {
	t := a.t
	meets := func(want string, pairs ...any) {
		t.Helper()
		if got := a.fails("tried", pairs...); got != want {
			t.Errorf("with %v: %q, want %q", pairs, got, want)
		}
	}
	good := vpc("subnet-0a1b2c3d", "sg-0a1b2c3d")
	meets("IAM_SERVICE_ROLE_IS_MISSING", "VpcConfig", good)
	serviceRole(t, a.s)
	meets("IAM_SERVICE_ROLE_MISSING_DESCRIBE_SUBNET_ACTION IAM_SERVICE_ROLE_MISSING_DESCRIBE_SECURITY_GROUPS_ACTION IAM_SERVICE_ROLE_MISSING_ENI_DESCRIBE_ACTION "+
		"IAM_SERVICE_ROLE_MISSING_ENI_CREATE_ACTION IAM_SERVICE_ROLE_MISSING_ENI_DELETE_ACTION", "VpcConfig", good)
	serviceRole(t, a.s, "ec2:Describe*", "ec2:CreateNetworkInterface")
	meets("IAM_SERVICE_ROLE_MISSING_ENI_DELETE_ACTION", "VpcConfig", good)
	serviceRole(t, a.s, "ec2:*")
	meets("SUBNET_NOT_FOUND", "VpcConfig", vpc("subnet-99999999", "sg-0a1b2c3d"))
	meets("SECURITY_GROUPS_NOT_FOUND", "VpcConfig", vpc("subnet-0a1b2c3d", "sg-99999999"))
	meets("INVALID_SUBNET_CONFIGURATION", "VpcConfig", vpc("subnet-0a1b2c3d", "sg-11111111"))
	meets("IGW_NOT_ATTACHED", "VpcConfig", good, "EnableDefaultInternetAccess", true)
	if got := a.fails("first", "VpcConfig", good); got != "" {
		t.Fatalf("nothing was wrong, but %s", got)
	}
	meets("SUBNET_HAS_INSUFFICIENT_IP_ADDRESSES", "VpcConfig", good)
	if got := a.fails("second", "VpcConfig", vpc("subnet-11111111")); got != "" {
		t.Fatalf("nothing was wrong, but %s", got)
	}
	meets("NETWORK_INTERFACE_LIMIT_EXCEEDED", "VpcConfig", vpc("subnet-11111111"))
	for _, name := range []string{"first", "second"} {
		a.ask("DeleteImageBuilder", in("Name", name), nil)
		a.gone(name)
	}
}

// machineRole: a builder whose role has gone while it was stopped can't be started.
func (a *apps) machineRole(account string) {
	t := a.t
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"appstream.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	makeRole(t, a.s, "Machine", trust, "")
	if got := a.fails("worker", "IamRoleArn", "arn:aws:iam::"+account+":role/Machine"); got != "" {
		t.Fatalf("nothing was wrong, but %s", got)
	}
	a.ask("StopImageBuilder", in("Name", "worker"), nil)
	a.reaches("worker", "STOPPED", "STOPPING")
	identities := iam.New(iam.Options{
		Region: "us-east-1", BaseEndpoint: &a.s.URL, RetryMaxAttempts: 10,
		Credentials: credentials.NewStaticCredentialsProvider(a.s.AccessKeyID, a.s.SecretAccessKey, ""),
	})
	_, err := identities.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String("Machine")})
	must(t, err)
	a.ask("StartImageBuilder", in("Name", "worker"), nil)
	b := a.reaches("worker", "STOPPED", "PENDING") // it can be started again when there is the role
	if len(b.ImageBuilderErrors) != 1 || b.ImageBuilderErrors[0].ErrorCode != "MACHINE_ROLE_IS_MISSING" || b.StateChangeReason == nil || b.StateChangeReason.Code != "INTERNAL_ERROR" {
		t.Errorf("without its role it is %+v, %+v", b.StateChangeReason, b.ImageBuilderErrors)
	}
	a.ask("DeleteImageBuilder", in("Name", "worker"), nil)
	a.gone("worker")
}

// directories: the same of directories, and what is refused of their configurations.
func (a *apps) directories() {
	t := a.t
	const unit, password = "OU=Builders,DC=corp,DC=example,DC=com", "hunter2-of-the-service"
	joins := func(directory, unit string) map[string]string {
		return map[string]string{"DirectoryName": directory, "OrganizationalUnitDistinguishedName": unit}
	}
	meets := func(want, directory, unit string) {
		t.Helper()
		if got := a.fails("tried", "DomainJoinInfo", joins(directory, unit)); got != want {
			t.Errorf("to %s, %s: %q, want %q", directory, unit, got, want)
		}
	}
	meets("DOMAIN_JOIN_ERROR_NO_SUCH_DOMAIN", "corp.example.com", unit)
	meets("DOMAIN_JOIN_NERR_INVALID_WORKGROUP_NAME", "WORKGROUP", unit)
	a.ask("CreateDirectoryConfig", in("DirectoryName", "corp.example.com", "OrganizationalUnitDistinguishedNames", []string{unit}), nil)
	meets("DOMAIN_JOIN_ERROR_LOGON_FAILURE", "corp.example.com", unit)
	account := map[string]string{"AccountName": "joiner", "AccountPassword": password}
	text, err := a.do(t, "UpdateDirectoryConfig", in("DirectoryName", "corp.example.com", "ServiceAccountCredentials", account))
	if err != nil || !strings.Contains(text, "joiner") || strings.Contains(text, password) {
		t.Errorf("it is changed to %s: %v", text, err)
	}
	meets("DOMAIN_JOIN_ERROR_INVALID_PARAMETER", "corp.example.com", "OU=Other,DC=corp,DC=example,DC=com")
	meets("DOMAIN_JOIN_ERROR_FILE_NOT_FOUND", "corp.example.com", "CN=Computers,DC=corp,DC=example,DC=com")
	if got := a.fails("joined", "DomainJoinInfo", joins("corp.example.com", unit)); got != "" {
		t.Fatalf("nothing was wrong, but %s", got)
	}
	a.refused("ResourceInUseException", "image builder joined", "DeleteDirectoryConfig", in("DirectoryName", "corp.example.com"))
	a.refused("ResourceInUseException", unit, "UpdateDirectoryConfig", in("DirectoryName", "corp.example.com", "OrganizationalUnitDistinguishedNames", []string{"OU=Other,DC=corp"}))
	a.ask("DeleteImageBuilder", in("Name", "joined"), nil)
	a.gone("joined")

	// What is refused of directory configurations, and their pages.
	a.refused("ResourceAlreadyExistsException", "CORP.example.com", "CreateDirectoryConfig", in("DirectoryName", "CORP.example.com", "OrganizationalUnitDistinguishedNames", []string{unit}))
	a.refused("ValidationException", "accountPassword", "CreateDirectoryConfig", in("DirectoryName", "b.example.com", "OrganizationalUnitDistinguishedNames", []string{unit},
		"ServiceAccountCredentials", map[string]string{"AccountName": "joiner"}))
	a.refused("OperationNotPermittedException", "DISABLED", "CreateDirectoryConfig", in("DirectoryName", "b.example.com", "OrganizationalUnitDistinguishedNames", []string{unit},
		"CertificateBasedAuthProperties", map[string]string{"Status": "ENABLED"}))
	a.ask("CreateDirectoryConfig", in("DirectoryName", "b.example.com", "OrganizationalUnitDistinguishedNames", []string{unit}, "ServiceAccountCredentials", account), nil)
	var page struct {
		DirectoryConfigs []struct {
			DirectoryName                        string
			OrganizationalUnitDistinguishedNames []string
			ServiceAccountCredentials            *struct{ AccountName, AccountPassword string }
			CreatedTime                          any
		}
		NextToken string
	}
	a.ask("DescribeDirectoryConfigs", in("MaxResults", 1), &page)
	if len(page.DirectoryConfigs) != 1 || page.DirectoryConfigs[0].DirectoryName != "b.example.com" || page.NextToken == "" || page.DirectoryConfigs[0].CreatedTime == nil ||
		page.DirectoryConfigs[0].ServiceAccountCredentials == nil || page.DirectoryConfigs[0].ServiceAccountCredentials.AccountPassword != "" {
		t.Errorf("the first page is %+v", page)
	}
	a.ask("DescribeDirectoryConfigs", in("NextToken", page.NextToken), &page)
	if len(page.DirectoryConfigs) != 1 || page.DirectoryConfigs[0].DirectoryName != "corp.example.com" {
		t.Errorf("the second page is %+v", page)
	}
	a.refused("ResourceNotFoundException", "gone.example.com", "DescribeDirectoryConfigs", in("DirectoryNames", []string{"gone.example.com"}))
	for _, name := range []string{"b.example.com", "corp.example.com"} {
		a.ask("DeleteDirectoryConfig", in("DirectoryName", name), nil)
	}
	a.refused("ResourceNotFoundException", "corp.example.com", "DeleteDirectoryConfig", in("DirectoryName", "corp.example.com"))

	// The records of the calls have neither the password nor the account's name.
	config := aws.Config{Region: "us-east-1", BaseEndpoint: &a.s.URL, Credentials: credentials.NewStaticCredentialsProvider(a.s.AccessKeyID, a.s.SecretAccessKey, "")}
	records := cloudtrail.NewFromConfig(config, func(o *cloudtrail.Options) { o.RetryMaxAttempts = 10 })
	for _, operation := range []string{"CreateDirectoryConfig", "UpdateDirectoryConfig", "DescribeDirectoryConfigs"} {
		found, err := records.LookupEvents(t.Context(), &cloudtrail.LookupEventsInput{LookupAttributes: []types.LookupAttribute{
			{AttributeKey: types.LookupAttributeKeyEventName, AttributeValue: &operation},
		}})
		must(t, err)
		if len(found.Events) == 0 {
			t.Errorf("no %s is recorded", operation)
		}
		for _, e := range found.Events {
			record := aws.ToString(e.CloudTrailEvent)
			if strings.Contains(record, password) || strings.Contains(record, "joiner") {
				t.Errorf("the record of %s is %s", operation, record)
			}
		}
	}
}
