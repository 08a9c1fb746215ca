package marketplacecatalog

import (
	"context"
	"regexp"
	"strings"

	"souk/access/iam"
	"souk/catalog/changeset"
	"souk/gateway"
	"souk/gateway/apierror"
)

// resourceARN is the documented form of an entity's or a change set's ARN.
var resourceARN = regexp.MustCompile(`^arn:[\w+=/,.@-]+:aws-marketplace:[\w+=/,.@-]*:[0-9]+:[\w+=,.@-]+(/[\w+=,.@-]+)*$`)

// parseARN reads the ARN of an entity or a change set,
// arn:aws:aws-marketplace:REGION:ACCOUNT:CATALOG/TYPE/ID. A resource of another
// account is none that there is for the caller.
func parseARN(text, account string) (changeset.Resource, error) {
	if !resourceARN.MatchString(text) {
		return changeset.Resource{}, invalid("ResourceArn '%s' is not the ARN of an entity or a change set.", text)
	}
	fields := strings.SplitN(text, ":", 6)
	path := strings.Split(fields[5], "/")
	if len(path) != 3 || path[0] != theCatalog {
		return changeset.Resource{}, invalid("ResourceArn '%s' is not the ARN of an entity or a change set.", text)
	}
	if fields[4] != account {
		return changeset.Resource{}, noResource(text)
	}
	id, _, _ := strings.Cut(path[2], "@")
	return changeset.Resource{Account: account, Kind: path[1], ID: id}, nil
}

func noResource(arn string) error {
	return apierror.New("ResourceNotFoundException", "Resource '%s' can't be found.", arn)
}

// resourceTags puts the tags of a resource into a question's context, as
// aws:ResourceTag/KEY, if a policy of the caller looks at them.
func (s *service) resourceTags(ctx context.Context, c *gateway.Caller, id string, keys iam.Context) (iam.Context, error) {
	if !c.Principal.Looks("aws:resourcetag/") {
		return keys, nil
	}
	return s.addTags(ctx, id, keys)
}

// addTags puts the tags of a resource into a question's context.
func (s *service) addTags(ctx context.Context, id string, keys iam.Context) (iam.Context, error) {
	tags, err := s.engine.TagsOf(ctx, id)
	if err != nil {
		return nil, err
	}
	if keys == nil {
		keys = iam.Context{}
	}
	for k, v := range tags {
		keys["aws:resourcetag/"+strings.ToLower(k)] = []string{v}
	}
	return keys, nil
}

// requestTags puts tags of the request into a question's context, as
// aws:RequestTag/KEY and aws:TagKeys.
func requestTags(tags map[string]string, keys iam.Context) iam.Context {
	if len(tags) == 0 {
		return keys
	}
	if keys == nil {
		keys = iam.Context{}
	}
	for k, v := range tags {
		keys["aws:requesttag/"+strings.ToLower(k)] = []string{v}
		keys["aws:tagkeys"] = append(keys["aws:tagkeys"], k)
	}
	return keys
}

// tagsOf makes a map of tags, each key once.
func tagsOf(tags []Tag) (map[string]string, error) {
	all := make(map[string]string, len(tags))
	for _, t := range tags {
		if _, twice := all[t.Key]; twice {
			return nil, invalid("Tag key '%s' is given more than once.", t.Key)
		}
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, invalid("Tag key '%s' is not valid: keys that begin with aws: are reserved.", t.Key)
		}
		all[t.Key] = value(t.Value)
	}
	return all, nil
}
