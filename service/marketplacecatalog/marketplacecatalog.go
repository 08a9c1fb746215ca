// Package marketplacecatalog is AWS Marketplace Catalog as a service of the
// gateway: one file for each action, with the action's input, its permissions
// and its answer. What the actions do is done by catalog/changeset.
package marketplacecatalog

import (
	"strings"
	"time"

	"souk/catalog/changeset"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/restjson"
)

// service has what the actions share.
type service struct {
	engine      *changeset.Engine
	assessments Assessments
	rendered    *rendered
	policies    policies
}

// Service returns the service over an engine. assessments are the results of
// scans, nil where nothing is scanned: then there are none.
func Service(engine *changeset.Engine, assessments Assessments) *gateway.Service {
	s := &service{engine: engine, assessments: assessments, rendered: newRendered(renderedBytes)}
	service := &gateway.Service{
		Name:         "marketplacecatalog",
		SigningNames: []string{"aws-marketplace"},
		Protocol:     restjson.Protocol{},
		EventSource:  "marketplacecatalog.amazonaws.com",
		Errors: map[string]int{
			"AccessDeniedException":         403,
			"InternalServiceException":      500,
			"ResourceInUseException":        423,
			"ResourceNotFoundException":     404,
			"ResourceNotSupportedException": 415,
			"ServiceQuotaExceededException": 402,
			"ThrottlingException":           429,
			"ValidationException":           422,
		},
		Internal:   "InternalServiceException",
		Validation: "ValidationException",
		Denied:     "AccessDeniedException",
		FieldList:  "ValidationExceptionFieldList",
		Throttled:  "ThrottlingException",
		Operations: []gateway.Operation{
			s.startChangeSet(),
			s.describeChangeSet(),
			s.listChangeSets(),
			s.cancelChangeSet(),
			s.listEntities(),
			s.describeEntity(),
			s.batchDescribeEntities(),
			s.tagResource(),
			s.untagResource(),
			s.listTagsForResource(),
			s.putResourcePolicy(),
			s.getResourcePolicy(),
			s.deleteResourcePolicy(),
			s.describeAssessment(),
			s.listAssessments(),
		},
	}
	for i, op := range service.Operations {
		service.Operations[i] = s.guarded(op)
	}
	return service
}

// theCatalog is the one catalog that there is.
const theCatalog = "AWSMarketplace"

func checkCatalog(name string) error {
	if name != theCatalog {
		return invalid("Catalog '%s' is not supported. The catalog is '%s'.", name, theCatalog)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return apierror.New("ValidationException", format, args...)
}

// action is the IAM action of an operation.
func action(operation string) string { return "aws-marketplace:" + operation }

// arn is the ARN of an entity or a change set: kind is the entity type without
// version, or ChangeSet.
func arn(account, kind, id string) string {
	return "arn:aws:aws-marketplace:us-east-1:" + account + ":" + theCatalog + "/" + kind + "/" + id
}

func changeSetARN(account, id string) string { return arn(account, "ChangeSet", id) }

// unversioned cuts the version off an entity type.
func unversioned(entityType string) string {
	name, _, _ := strings.Cut(entityType, "@")
	return name
}

// timestamp is a time as the service shows it: 20 characters.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// ChangeSetID answers StartChangeSet and CancelChangeSet.
type ChangeSetID struct {
	ChangeSetArn string
	ChangeSetId  string
}

// Filter keeps results that have one of the values.
type Filter struct {
	Name      *string  `len:"1,255" pattern:"^[a-zA-Z]+$"`
	ValueList []string `size:"1,10" memberlen:"1,255"`
}

// Sort orders results.
type Sort struct {
	SortBy    *string `len:"1,255" pattern:"^[a-zA-Z]+$"`
	SortOrder *string `enum:"ASCENDING,DESCENDING"`
}

// Tag is a tag of a change set or an entity.
type Tag struct {
	Key   string  `required:"" len:"1,128" pattern:"^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$"`
	Value *string `required:"" len:"0,256" pattern:"^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$"`
}

// query makes an engine's query of what the two lists share.
func query(account string, filters []Filter, sort *Sort, max *int, token *string) (changeset.Query, error) {
	q := changeset.Query{Account: account, Max: 20}
	for _, f := range filters {
		if f.Name == nil || f.ValueList == nil {
			return q, invalid("A filter must have a Name and a ValueList.")
		}
		q.Filters = append(q.Filters, changeset.Filter{Name: *f.Name, Values: f.ValueList})
	}
	if sort != nil && sort.SortBy != nil {
		q.SortBy = *sort.SortBy
	}
	q.Ascending = sort != nil && sort.SortOrder != nil && *sort.SortOrder == "ASCENDING"
	if max != nil {
		q.Max = *max
	}
	if token != nil {
		q.Token = *token
	}
	return q, nil
}
