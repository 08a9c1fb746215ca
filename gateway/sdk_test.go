package gateway_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// TestSDK lets AWS's own clients read what the gateway answers.
func TestSDK(t *testing.T) {
	t.Parallel()
	c := config()
	c.Clock = time.Now
	server := httptest.NewServer(newGateway(t, c))
	t.Cleanup(server.Close)
	sdk := aws.Config{
		Region: "eu-central-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDROOT", secret, ""),
	}
	ctx := context.Background()
	catalog := marketplacecatalog.NewFromConfig(sdk)

	entity, err := catalog.DescribeEntity(ctx, &marketplacecatalog.DescribeEntityInput{Catalog: aws.String("AWSMarketplace"), EntityId: aws.String("prod-1")})
	if err != nil || aws.ToString(entity.EntityIdentifier) != "prod-1@1" {
		t.Errorf("DescribeEntity: %v, %+v", err, entity)
	}
	started, err := catalog.StartChangeSet(ctx, &marketplacecatalog.StartChangeSetInput{
		Catalog: aws.String("AWSMarketplace"),
		ChangeSet: []types.Change{{
			ChangeType: aws.String("CreateProduct"), Entity: &types.Entity{Type: aws.String("ContainerProduct@1.0")}, Details: aws.String("{}"),
		}},
	})
	if err != nil || aws.ToString(started.ChangeSetId) != "2de11mwkeagfwj07225x1h5a5" {
		t.Errorf("StartChangeSet: %v, %+v", err, started)
	}

	_, err = catalog.DescribeEntity(ctx, &marketplacecatalog.DescribeEntityInput{Catalog: aws.String("AWSMarketplace"), EntityId: aws.String("prod-none")})
	var missing *types.ResourceNotFoundException
	if !errors.As(err, &missing) || missing.ErrorMessage() != "There is no entity prod-none." {
		t.Errorf("an unknown entity: got %v", err)
	}
	_, err = catalog.DescribeEntity(ctx, &marketplacecatalog.DescribeEntityInput{Catalog: aws.String("A-1"), EntityId: aws.String("prod-1")})
	var invalid *types.ValidationException
	if !errors.As(err, &invalid) {
		t.Errorf("a wrong catalog: got %v", err)
	}

	identity, err := sts.NewFromConfig(sdk).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil || aws.ToString(identity.Account) != account || aws.ToString(identity.Arn) != root.ARN {
		t.Errorf("GetCallerIdentity: %v, %+v", err, identity)
	}
	sdk.Credentials = credentials.NewStaticCredentialsProvider("AKIDROOT", "another secret", "")
	_, err = sts.NewFromConfig(sdk).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "SignatureDoesNotMatch" {
		t.Errorf("a wrong secret: got %v", err)
	}
	_, err = marketplacecatalog.NewFromConfig(sdk).DescribeEntity(ctx, &marketplacecatalog.DescribeEntityInput{Catalog: aws.String("AWSMarketplace"), EntityId: aws.String("prod-1")})
	if !errors.As(err, &api) || api.ErrorCode() != "InvalidSignatureException" {
		t.Errorf("a wrong secret: got %v", err)
	}

	sdk.Credentials = credentials.NewStaticCredentialsProvider("AKIDROOT", secret, "")
	signed, err := sts.NewPresignClient(sts.NewFromConfig(sdk)).PresignGetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	res, err := server.Client().Get(signed.URL)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, res); got.status != 200 {
		t.Errorf("a presigned URL: got %d %s", got.status, got.body)
	}
}
