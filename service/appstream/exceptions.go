package appstream

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"souk/gateway/apierror"
)

// The exceptions of the service. All of them blame the caller.
const (
	concurrentModification      = "ConcurrentModificationException"
	dryRunOperation             = "DryRunOperationException"
	entitlementAlreadyExists    = "EntitlementAlreadyExistsException"
	entitlementNotFound         = "EntitlementNotFoundException"
	incompatibleImage           = "IncompatibleImageException"
	invalidAccountStatus        = "InvalidAccountStatusException"
	invalidParameterCombination = "InvalidParameterCombinationException"
	invalidRole                 = "InvalidRoleException"
	limitExceeded               = "LimitExceededException"
	operationNotPermitted       = "OperationNotPermittedException"
	requestLimitExceeded        = "RequestLimitExceededException"
	resourceAlreadyExists       = "ResourceAlreadyExistsException"
	resourceInUse               = "ResourceInUseException"
	resourceNotAvailable        = "ResourceNotAvailableException"
	resourceNotFound            = "ResourceNotFoundException"
)

// statuses are the exceptions and the gateway's own refusals with their HTTP
// status.
func statuses() map[string]int {
	all := map[string]int{}
	for _, names := range bound {
		for _, name := range names {
			all[name] = http.StatusBadRequest
		}
	}
	all[resourceNotFound] = http.StatusNotFound
	all[dryRunOperation] = http.StatusPreconditionFailed
	for _, name := range always {
		all[name] = http.StatusBadRequest
	}
	return all
}

// always are the errors that every operation of every service may answer with.
var always = []string{"AccessDeniedException", "SerializationException", "ThrottlingException", "ValidationException"}

// answerable makes sure that an operation answers with exceptions that are bound
// to it: programs know no other ones. One that is not bound is a mistake of
// ours, and goes out as such.
func answerable(operation string, err error) error {
	var e *apierror.Error
	if !errors.As(err, &e) || slices.Contains(bound[operation], e.Code) || slices.Contains(always, e.Code) {
		return err
	}
	return fmt.Errorf("operation %s failed with %s, which is not bound to it: %s", operation, e.Code, e.Message)
}

// bound are the exceptions that the model binds to each operation; an operation
// answers with no other ones. It has all operations of the service, those that
// are not offered too, and one of ours.
//
// AppStream API Reference, "Actions".
var bound = map[string][]string{
	"AssociateAppBlockBuilderAppBlock":            {concurrentModification, invalidParameterCombination, limitExceeded, operationNotPermitted, resourceNotFound},
	"AssociateApplicationFleet":                   {concurrentModification, invalidParameterCombination, limitExceeded, operationNotPermitted, resourceNotFound},
	"AssociateApplicationToEntitlement":           {entitlementNotFound, limitExceeded, operationNotPermitted, resourceNotFound},
	"AssociateFleet":                              {concurrentModification, incompatibleImage, invalidAccountStatus, limitExceeded, operationNotPermitted, resourceNotFound},
	"AssociateSoftwareToImageBuilder":             {concurrentModification, incompatibleImage, invalidParameterCombination, operationNotPermitted, resourceNotFound},
	"BatchAssociateUserStack":                     {invalidParameterCombination, operationNotPermitted},
	"BatchDisassociateUserStack":                  {invalidParameterCombination, operationNotPermitted},
	"CopyImage":                                   {incompatibleImage, invalidAccountStatus, limitExceeded, resourceAlreadyExists, resourceNotAvailable, resourceNotFound},
	"CreateAppBlock":                              {concurrentModification, limitExceeded, operationNotPermitted, resourceAlreadyExists},
	"CreateAppBlockBuilder":                       {concurrentModification, invalidAccountStatus, invalidParameterCombination, invalidRole, limitExceeded, operationNotPermitted, requestLimitExceeded, resourceAlreadyExists, resourceNotAvailable, resourceNotFound},
	"CreateAppBlockBuilderStreamingURL":           {operationNotPermitted, resourceNotFound},
	"CreateApplication":                           {concurrentModification, limitExceeded, operationNotPermitted, resourceAlreadyExists, resourceNotFound},
	"CreateDirectoryConfig":                       {invalidAccountStatus, invalidRole, limitExceeded, operationNotPermitted, resourceAlreadyExists, resourceNotFound},
	"CreateEntitlement":                           {entitlementAlreadyExists, limitExceeded, operationNotPermitted, resourceNotFound},
	"CreateExportImageTask":                       {concurrentModification, invalidAccountStatus, invalidRole, limitExceeded, operationNotPermitted, resourceNotAvailable, resourceNotFound},
	"CreateFleet":                                 {concurrentModification, incompatibleImage, invalidAccountStatus, invalidParameterCombination, invalidRole, limitExceeded, operationNotPermitted, requestLimitExceeded, resourceAlreadyExists, resourceNotAvailable, resourceNotFound},
	"CreateImageBuilder":                          {concurrentModification, incompatibleImage, invalidAccountStatus, invalidParameterCombination, invalidRole, limitExceeded, operationNotPermitted, requestLimitExceeded, resourceAlreadyExists, resourceNotAvailable, resourceNotFound},
	"CreateImageBuilderStreamingURL":              {operationNotPermitted, resourceNotFound},
	"CreateImportedImage":                         {dryRunOperation, incompatibleImage, invalidAccountStatus, invalidParameterCombination, invalidRole, limitExceeded, operationNotPermitted, resourceAlreadyExists, resourceNotFound},
	"CreateStack":                                 {concurrentModification, invalidAccountStatus, invalidParameterCombination, invalidRole, limitExceeded, operationNotPermitted, resourceAlreadyExists, resourceNotFound},
	"CreateStreamingURL":                          {invalidParameterCombination, operationNotPermitted, resourceNotAvailable, resourceNotFound},
	"CreateThemeForStack":                         {concurrentModification, invalidAccountStatus, limitExceeded, operationNotPermitted, resourceAlreadyExists, resourceNotFound},
	"CreateUpdatedImage":                          {concurrentModification, incompatibleImage, invalidAccountStatus, limitExceeded, operationNotPermitted, resourceAlreadyExists, resourceNotFound},
	"CreateUsageReportSubscription":               {invalidAccountStatus, invalidRole, limitExceeded},
	"CreateUser":                                  {invalidAccountStatus, invalidParameterCombination, limitExceeded, operationNotPermitted, resourceAlreadyExists},
	"DeleteAppBlock":                              {concurrentModification, resourceInUse, resourceNotFound},
	"DeleteAppBlockBuilder":                       {concurrentModification, operationNotPermitted, resourceInUse, resourceNotFound},
	"DeleteApplication":                           {concurrentModification, operationNotPermitted, resourceInUse, resourceNotFound},
	"DeleteDirectoryConfig":                       {resourceInUse, resourceNotFound},
	"DeleteEntitlement":                           {concurrentModification, entitlementNotFound, operationNotPermitted, resourceNotFound},
	"DeleteFleet":                                 {concurrentModification, resourceInUse, resourceNotFound},
	"DeleteImage":                                 {concurrentModification, operationNotPermitted, resourceInUse, resourceNotFound},
	"DeleteImageBuilder":                          {concurrentModification, operationNotPermitted, resourceNotFound},
	"DeleteImagePermissions":                      {resourceNotAvailable, resourceNotFound},
	"DeleteStack":                                 {concurrentModification, operationNotPermitted, resourceInUse, resourceNotFound},
	"DeleteThemeForStack":                         {concurrentModification, operationNotPermitted, resourceNotFound},
	"DeleteUsageReportSubscription":               {invalidAccountStatus, resourceNotFound},
	"DeleteUser":                                  {resourceNotFound},
	"DescribeAppBlockBuilderAppBlockAssociations": {invalidParameterCombination, operationNotPermitted},
	"DescribeAppBlockBuilders":                    {operationNotPermitted, resourceNotFound},
	"DescribeAppBlocks":                           {operationNotPermitted, resourceNotFound},
	"DescribeAppLicenseUsage":                     {invalidParameterCombination, operationNotPermitted, resourceNotFound},
	"DescribeApplicationFleetAssociations":        {invalidParameterCombination, operationNotPermitted},
	"DescribeApplications":                        {operationNotPermitted, resourceNotFound},
	"DescribeDirectoryConfigs":                    {resourceNotFound},
	"DescribeEntitlements":                        {entitlementNotFound, operationNotPermitted, resourceNotFound},
	"DescribeFleets":                              {resourceNotFound},
	"DescribeImageBuilders":                       {resourceNotFound},
	"DescribeImagePermissions":                    {resourceNotFound},
	"DescribeImages":                              {invalidParameterCombination, resourceNotFound},
	"DescribeSessions":                            {invalidParameterCombination},
	"DescribeSoftwareAssociations":                {operationNotPermitted, resourceNotFound},
	"DescribeStacks":                              {resourceNotFound},
	"DescribeThemeForStack":                       {operationNotPermitted, resourceNotFound},
	"DescribeUsageReportSubscriptions":            {invalidAccountStatus, resourceNotFound},
	"DescribeUserStackAssociations":               {invalidParameterCombination, operationNotPermitted},
	"DescribeUsers":                               {invalidParameterCombination, operationNotPermitted, resourceNotFound},
	"DisableUser":                                 {resourceNotFound},
	"DisassociateAppBlockBuilderAppBlock":         {concurrentModification, invalidParameterCombination, operationNotPermitted, resourceNotFound},
	"DisassociateApplicationFleet":                {concurrentModification, invalidParameterCombination, operationNotPermitted},
	"DisassociateApplicationFromEntitlement":      {entitlementNotFound, operationNotPermitted, resourceNotFound},
	"DisassociateFleet":                           {concurrentModification, operationNotPermitted, resourceInUse, resourceNotFound},
	"DisassociateSoftwareFromImageBuilder":        {concurrentModification, invalidParameterCombination, operationNotPermitted, resourceNotFound},
	"DrainSessionInstance":                        {concurrentModification, operationNotPermitted, resourceNotFound},
	"EnableUser":                                  {invalidAccountStatus, resourceNotFound},
	"ExpireSession":                               {},
	"GetExportImageTask":                          {operationNotPermitted, resourceNotFound},
	"ListAssociatedFleets":                        {},
	"ListAssociatedStacks":                        {},
	"ListEntitledApplications":                    {entitlementNotFound, operationNotPermitted, resourceNotFound},
	"ListExportImageTasks":                        {operationNotPermitted},
	"ListTagsForResource":                         {resourceNotFound},
	"StartAppBlockBuilder":                        {concurrentModification, invalidAccountStatus, limitExceeded, operationNotPermitted, requestLimitExceeded, resourceNotAvailable, resourceNotFound},
	"StartFleet":                                  {concurrentModification, invalidAccountStatus, invalidRole, limitExceeded, operationNotPermitted, requestLimitExceeded, resourceNotAvailable, resourceNotFound},
	"StartImageBuilder":                           {concurrentModification, incompatibleImage, invalidAccountStatus, resourceNotAvailable, resourceNotFound},
	"StartSoftwareDeploymentToImageBuilder":       {concurrentModification, operationNotPermitted, resourceNotFound},
	"StopAppBlockBuilder":                         {concurrentModification, operationNotPermitted, resourceNotFound},
	"StopFleet":                                   {concurrentModification, resourceNotFound},
	"StopImageBuilder":                            {concurrentModification, operationNotPermitted, resourceNotFound},
	"TagResource":                                 {invalidAccountStatus, limitExceeded, resourceNotFound},
	"UntagResource":                               {resourceNotFound},
	"UpdateAppBlockBuilder":                       {concurrentModification, invalidAccountStatus, invalidParameterCombination, invalidRole, limitExceeded, operationNotPermitted, requestLimitExceeded, resourceInUse, resourceNotAvailable, resourceNotFound},
	"UpdateApplication":                           {concurrentModification, operationNotPermitted, resourceNotFound},
	"UpdateDirectoryConfig":                       {concurrentModification, incompatibleImage, invalidRole, operationNotPermitted, resourceInUse, resourceNotFound},
	"UpdateEntitlement":                           {concurrentModification, entitlementNotFound, operationNotPermitted, resourceNotFound},
	"UpdateFleet":                                 {concurrentModification, incompatibleImage, invalidAccountStatus, invalidParameterCombination, invalidRole, limitExceeded, operationNotPermitted, requestLimitExceeded, resourceInUse, resourceNotAvailable, resourceNotFound},
	"UpdateImagePermissions":                      {limitExceeded, resourceNotAvailable, resourceNotFound},
	"UpdateStack":                                 {concurrentModification, incompatibleImage, invalidAccountStatus, invalidParameterCombination, invalidRole, limitExceeded, operationNotPermitted, resourceInUse, resourceNotFound},
	"UpdateThemeForStack":                         {concurrentModification, invalidAccountStatus, invalidParameterCombination, limitExceeded, operationNotPermitted, resourceNotFound},

	// Ours: a session in the machine of an image builder.
	"OpenImageBuilderSession": {operationNotPermitted, resourceNotFound, resourceNotAvailable},
}
