package trail

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// eventVersion is the version of the log event format that the records have.
const eventVersion = "1.11"

// JSON is the record as CloudTrail shows it.
//
// AWS CloudTrail User Guide, "CloudTrail record contents"; AWS Marketplace
// Catalog API Reference, "Understanding AWS Marketplace catalog log file entries".
func (r *Record) JSON() []byte {
	b := make([]byte, 0, 1024+len(r.Input)+len(r.Output))
	b = append(b, `{"eventVersion":"`+eventVersion+`","userIdentity":`...)
	b = r.identity(b)
	b = member(b, "eventTime", r.Time().Format("2006-01-02T15:04:05Z"))
	b = member(b, "eventSource", r.Source)
	b = member(b, "eventName", r.Name)
	b = member(b, "awsRegion", r.Region)
	from := r.IP
	if r.ARN == "" && r.Principal != "" { // CloudTrail has the service's name there, too
		from = r.Principal
	}
	b = member(b, "sourceIPAddress", from)
	b = member(b, "userAgent", r.Agent)
	if r.Code != "" {
		b = member(b, "errorCode", r.Code)
		b = member(b, "errorMessage", r.Message)
	}
	b = raw(b, "requestParameters", r.Input)
	b = raw(b, "responseElements", r.Output)
	b = member(b, "requestID", r.Request)
	b = member(b, "eventID", r.ID)
	b = append(b, `,"readOnly":`...)
	b = strconv.AppendBool(b, r.ReadOnly)
	if len(r.Resources) > 0 {
		b = append(b, `,"resources":[`...)
		for i, arn := range r.Resources {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"accountId":`...)
			b = quoted(b, accountOf(arn, r.Account))
			if kind := ResourceOf(arn).Type; kind != "" {
				b = member(b, "type", kind)
			}
			b = member(b, "ARN", arn)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	b = append(b, `,"eventType":"AwsApiCall","managementEvent":true`...)
	b = member(b, "recipientAccountId", r.Account)
	b = append(b, `,"eventCategory":"Management"`...)
	if r.TLS != "" {
		b = raw(b, "tlsDetails", r.TLS)
	}
	return append(b, '}')
}

// identity appends who asked.
//
// AWS CloudTrail User Guide, "CloudTrail userIdentity element".
func (r *Record) identity(b []byte) []byte {
	if r.ARN == "" && r.Principal != "" { // a service: the market's own machine asked
		return append(member(append(b, `{"type":"AWSService"`...), "invokedBy", r.Principal), '}')
	}
	if r.ARN == "" { // nobody signed it: a link in a message of a topic was followed
		return append(b, `{"type":"AWSAccount","principalId":"","accountId":"ANONYMOUS_PRINCIPAL"}`...)
	}
	kind, name := r.who()
	b = append(b, `{"type":"`+kind+`"`...)
	b = member(b, "principalId", r.Principal)
	b = member(b, "arn", r.ARN)
	b = member(b, "accountId", r.Account)
	b = member(b, "accessKeyId", r.Key)
	switch kind {
	case "IAMUser":
		b = member(b, "userName", name)
	case "AssumedRole":
		role, _ := r.role()
		arn := r.Role
		if arn == "" {
			arn = "arn:aws:iam::" + r.Account + ":role/" + role
		}
		issuer, _, _ := strings.Cut(r.Principal, ":")
		b = append(b, `,"sessionContext":{"sessionIssuer":{"type":"Role"`...)
		b = member(b, "principalId", issuer)
		b = member(b, "arn", arn)
		b = member(b, "accountId", r.Account)
		b = member(b, "userName", role)
		b = append(b, `},"attributes":{`...)
		if r.Session != "" {
			b = append(b, `"creationDate":`...)
			b = append(quoted(b, r.Session), ',')
		}
		b = append(b, `"mfaAuthenticated":"false"}}`...)
	}
	return append(b, '}')
}

// who tells the type of the identity, and its name.
func (r *Record) who() (kind, name string) {
	rest := r.ARN
	for range 5 {
		_, rest, _ = strings.Cut(rest, ":")
	}
	switch {
	case rest == "root":
		return "Root", "root"
	case strings.HasPrefix(rest, "assumed-role/"):
		_, session := r.role()
		return "AssumedRole", session
	case strings.HasPrefix(rest, "federated-user/"):
		return "FederatedUser", rest[strings.LastIndexByte(rest, '/')+1:]
	}
	return "IAMUser", rest[strings.LastIndexByte(rest, '/')+1:]
}

// role is the role of a session, and the session's name.
func (r *Record) role() (role, session string) {
	_, rest, _ := strings.Cut(r.ARN, ":assumed-role/")
	role, session, _ = strings.Cut(rest, "/")
	return role, session
}

// Username is what events are looked up by: the user's name, the session's, root,
// or the service.
func (r *Record) Username() string {
	if r.ARN == "" {
		return r.Principal
	}
	_, name := r.who()
	return name
}

// Resource is what a call was about.
type Resource struct {
	Type string // such as AWS::IAM::User
	Name string // the last part of its ARN
}

// spelled has the services' names in resource types, where they are not their
// names in ARNs with a capital.
var spelled = map[string]string{
	"iam": "IAM", "sts": "STS", "ec2": "EC2", "ecr": "ECR", "sns": "SNS",
	"aws-marketplace": "Marketplace", "organizations": "Organizations", "cloudtrail": "CloudTrail",
}

// ResourceOf reads a resource from its ARN: the type from the service and the
// part before the name. Types of AWS Marketplace have no documented names.
func ResourceOf(arn string) Resource {
	service, kind, name := resourceParts(arn)
	return Resource{Type: resourceType(service, kind), Name: name}
}

// resourceParts are the parts of an ARN that tell the resource. kind is "" where
// it has none, and service where it is no ARN. It is asked of every record, and
// makes no strings.
func resourceParts(arn string) (service, kind, name string) {
	rest := arn
	for i := range 5 {
		colon := strings.IndexByte(rest, ':')
		if colon < 0 {
			return "", "", arn
		}
		if i == 2 {
			service = rest[:colon]
		}
		rest = rest[colon+1:]
	}
	last := strings.LastIndexAny(rest, "/:")
	if last < 0 {
		return service, "", rest
	}
	// A path may stand between the kind and the name: user/division/Bob.
	name, kind = rest[last+1:], rest[:last]
	if service == "aws-marketplace" {
		kind = kind[strings.LastIndexByte(kind, '/')+1:]
	} else if end := strings.IndexAny(kind, "/:"); end >= 0 {
		kind = kind[:end]
	}
	return service, kind, name
}

// resourceType spells the type of a resource.
func resourceType(service, kind string) string {
	if service == "" {
		return ""
	}
	shown := spelled[service]
	if shown == "" {
		shown = capital(service)
	}
	switch {
	case kind == "*": // of any kind
		return ""
	case kind == "" && service == "sns":
		kind = "Topic"
	case kind == "":
		return "AWS::" + shown
	}
	return "AWS::" + shown + "::" + capital(kind)
}

// capital is a name with a capital, without its dashes: federated-user is FederatedUser.
func capital(s string) string {
	var b strings.Builder
	for _, word := range strings.Split(s, "-") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

func accountOf(arn, account string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 && parts[4] != "" {
		return parts[4]
	}
	return account
}

// member appends a member with a string.
func member(b []byte, name, value string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return quoted(b, value)
}

// raw appends a member with JSON, null if there is none.
func raw(b []byte, name, value string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	if value == "" {
		return append(b, "null"...)
	}
	return append(b, value...)
}

// quoted appends a JSON string. What is no UTF-8 becomes the sign for that.
func quoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // its error tells of bad UTF-8, which it has replaced
	return b
}
