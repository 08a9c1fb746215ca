package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"souk/conformance/seller"
	"souk/spec/examples"
)

// wire checks the bytes: names of members, errors, what is no request at all.
func wire() []Check {
	return []Check{
		{"wire/members", "Answers have the documented members, spelled as documented.", memberNames},
		{"wire/errors", "Errors have the header x-amzn-ErrorType, the members __type and Message, and a request id.", errorForm},
		{"wire/constraints", "Every documented constraint of the input is checked.", constraints},
		{"wire/no-request", "What is no request of the API is refused as such.", noRequests},
		{"wire/odd-details", "Details of odd JSON types are refused, never answered with a 5xx.", oddDetails},
		{"wire/describe-by-post", "DescribeChangeSet is answered in the page's POST form too.", describeByPost},
	}
}

// refused adds findings unless the answer is that error, in the documented form.
func (v *Visit) refused(what string, a seller.Answer, status int, code string) {
	v.Want(a.Status == status, "%s: got status %d, want %d: %s", what, a.Status, status, a.Body)
	name, _, _ := strings.Cut(a.Header.Get("X-Amzn-Errortype"), ":")
	v.Want(name == code, "%s: header x-amzn-ErrorType is %q, want %s", what, name, code)
	var body map[string]any
	err := json.Unmarshal([]byte(a.Body), &body)
	if err != nil {
		v.Want(false, "%s: the error's body is no JSON: %q", what, a.Body)
		return
	}
	v.Want(body["__type"] == code, "%s: __type is %v, want %s", what, body["__type"], code)
	message, _ := body["Message"].(string)
	v.Want(message != "", "%s: Message is missing or empty: %s", what, a.Body)
	v.Want(a.Header.Get("X-Amzn-Requestid") != "", "%s: header x-amzn-RequestId is missing", what)
}

// memberNames compares the names in real answers with those that the pages'
// "Response Syntax" and the SDK's model have.
func memberNames(ctx context.Context, v *Visit) error {
	known, err := documentedMembers()
	if err != nil {
		return err
	}
	product, err := v.Draft(ctx, "Members "+v.Unique)
	if err != nil {
		return err
	}
	id, err := v.Start(ctx, seller.Change("UpdateInformation", product, `{"ProductTitle":"<`+v.Unique+`>"}`))
	if err != nil {
		return err
	}
	_, err = v.Wait(ctx, id)
	if err != nil {
		return err
	}
	for _, c := range []struct{ action, method, target, body string }{
		{"StartChangeSet", "POST", "/StartChangeSet", `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct@1.0"},"Details":"{}"}]}`},
		{"DescribeChangeSet", "GET", "/DescribeChangeSet?catalog=AWSMarketplace&changeSetId=" + id, ""},
		{"DescribeEntity", "GET", "/DescribeEntity?catalog=AWSMarketplace&entityId=" + product, ""},
		{"ListChangeSets", "POST", "/ListChangeSets", `{"Catalog":"AWSMarketplace","MaxResults":1}`},
		{"ListEntities", "POST", "/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct","MaxResults":1}`},
	} {
		a, err := v.Raw(ctx, c.method, c.target, c.body)
		if err != nil {
			return err
		}
		v.Want(a.Status == 200, "%s: got status %d: %s", c.action, a.Status, a.Body)
		v.Want(strings.HasPrefix(a.Header.Get("Content-Type"), "application/json"), "%s: Content-Type is %q", c.action, a.Header.Get("Content-Type"))
		v.Want(a.Header.Get("X-Amzn-Requestid") != "", "%s: header x-amzn-RequestId is missing", c.action)
		var body map[string]any
		err = json.Unmarshal([]byte(a.Body), &body)
		if err != nil {
			return fmt.Errorf("%s: the answer is no JSON: %w", c.action, err)
		}
		got := map[string]bool{}
		members(body, "", got)
		for name := range got {
			v.Want(slices.Contains(known[c.action], name), "%s: answers with the member %s, which no page and no model has", c.action, name)
		}
		for _, name := range needed[c.action] {
			v.Want(got[name], "%s: the answer lacks %s", c.action, name)
		}
	}
	return nil
}

// needed are members without which programs in production break.
var needed = map[string][]string{
	"StartChangeSet": {"ChangeSetId", "ChangeSetArn"},
	"DescribeChangeSet": {"ChangeSetId", "ChangeSetArn", "ChangeSetName", "StartTime", "EndTime", "Status", "Intent", "FailureCode", "FailureDescription",
		"ChangeSet.ChangeType", "ChangeSet.Entity.Type", "ChangeSet.Entity.Identifier", "ChangeSet.Details", "ChangeSet.DetailsDocument",
		"ChangeSet.ErrorDetailList.ErrorCode", "ChangeSet.ErrorDetailList.ErrorMessage"},
	"DescribeEntity": {"EntityType", "EntityIdentifier", "EntityArn", "LastModifiedDate", "Details", "DetailsDocument"},
	"ListChangeSets": {"ChangeSetSummaryList.ChangeSetId", "ChangeSetSummaryList.ChangeSetArn", "ChangeSetSummaryList.ChangeSetName",
		"ChangeSetSummaryList.StartTime", "ChangeSetSummaryList.Status", "ChangeSetSummaryList.EntityIdList"},
	"ListEntities": {"EntitySummaryList.Name", "EntitySummaryList.EntityType", "EntitySummaryList.EntityId", "EntitySummaryList.EntityArn",
		"EntitySummaryList.LastModifiedDate", "EntitySummaryList.Visibility"},
}

// since2021 are members that the SDK's model has beyond the pages.
var since2021 = map[string][]string{
	"StartChangeSet":    {},
	"DescribeChangeSet": {"Intent", "ChangeSet.DetailsDocument"},
	"DescribeEntity":    {"DetailsDocument"},
	"ListChangeSets":    {},
	"ListEntities": {"EntitySummaryList.ContainerProductSummary", "EntitySummaryList.ContainerProductSummary.ProductTitle",
		"EntitySummaryList.ContainerProductSummary.Visibility"},
}

// documentedMembers returns the members of each action's answer as paths.
func documentedMembers() (map[string][]string, error) {
	all, err := examples.All()
	if err != nil {
		return nil, err
	}
	known := map[string][]string{}
	for _, e := range all {
		if e.Kind != examples.Syntax || !strings.HasSuffix(e.Name, "-response") {
			continue
		}
		_, inside, _ := strings.Cut(e.Text(), "{")
		body := "{" + inside
		var v map[string]any
		err := json.Unmarshal([]byte(body), &v)
		if err != nil {
			return nil, fmt.Errorf("reading example %s: %w", e.Name, err)
		}
		names := map[string]bool{}
		members(v, "", names)
		known[e.Action] = since2021[e.Action]
		for name := range names {
			known[e.Action] = append(known[e.Action], name)
		}
	}
	if len(known) < 6 {
		return nil, fmt.Errorf("the pages' syntax of %d actions was found, want 6", len(known))
	}
	return known, nil
}

// members collects the paths of all members, lists left out. What is inside of
// a DetailsDocument is the entity's matter.
func members(v any, at string, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			path := strings.TrimPrefix(at+"."+name, ".")
			into[path] = true
			if name != "DetailsDocument" {
				members(value, path, into)
			}
		}
	case []any:
		for _, element := range v {
			members(element, at, into)
		}
	}
}

func errorForm(ctx context.Context, v *Visit) error {
	for _, c := range []struct {
		what, method, target, body string
		status                     int
		code                       string
	}{
		{"no such change set", "GET", "/DescribeChangeSet?catalog=AWSMarketplace&changeSetId=none" + v.Unique, "", 404, "ResourceNotFoundException"},
		{"no such change set to cancel", "PATCH", "/CancelChangeSet?catalog=AWSMarketplace&changeSetId=none" + v.Unique, "", 404, "ResourceNotFoundException"},
		{"no such entity", "GET", "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-" + v.Unique + "zzzzz", "", 404, "ResourceNotFoundException"},
		{"no catalog", "GET", "/DescribeEntity?entityId=prod-abcdefghij123", "", 422, "ValidationException"},
		{"no entity type", "POST", "/ListEntities", `{"Catalog":"AWSMarketplace"}`, 422, "ValidationException"},
		{"change of no such entity", "POST", "/StartChangeSet",
			`{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"ReleaseProduct","Entity":{"Type":"ContainerProduct@1.0","Identifier":"prod-` + v.Unique + `zzzzz"},"Details":"{}"}]}`,
			404, "ResourceNotFoundException"},
	} {
		a, err := v.Raw(ctx, c.method, c.target, c.body)
		if err != nil {
			return err
		}
		v.refused(c.what, a, c.status, c.code)
	}
	return nil
}

func constraints(ctx context.Context, v *Visit) error {
	change := func(member, value string) string {
		return `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct@1.0"},"Details":"{}","` + member + `":` + value + `}]}`
	}
	set := func(member, value string) string {
		return `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct@1.0"},"Details":"{}"}],"` + member + `":` + value + `}`
	}
	one := `{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct@1.0"},"Details":"{}"}`
	for _, c := range []struct{ what, path, body string }{
		{"21 changes", "/StartChangeSet", `{"Catalog":"AWSMarketplace","ChangeSet":[` + strings.Repeat(one+",", 20) + one + `]}`},
		{"no changes", "/StartChangeSet", `{"Catalog":"AWSMarketplace","ChangeSet":[]}`},
		{"no catalog", "/StartChangeSet", `{"ChangeSet":[` + one + `]}`},
		{"unknown catalog", "/StartChangeSet", `{"Catalog":"Bazaar","ChangeSet":[` + one + `]}`},
		{"catalog with a digit", "/ListChangeSets", `{"Catalog":"AWS1"}`},
		{"change name with a digit", "/StartChangeSet", change("ChangeName", `"First1"`)},
		{"change name of 73 letters", "/StartChangeSet", change("ChangeName", `"`+strings.Repeat("a", 73)+`"`)},
		{"change type in lower case", "/StartChangeSet", strings.Replace(set("ChangeSetName", `"a"`), "CreateProduct", "createProduct", 1)},
		{"change set name of 101 characters", "/StartChangeSet", set("ChangeSetName", `"`+strings.Repeat("a", 101)+`"`)},
		{"change set name with a tilde", "/StartChangeSet", set("ChangeSetName", `"a~b"`)},
		{"token with a blank", "/StartChangeSet", set("ClientRequestToken", `"a b"`)},
		{"token of 65 characters", "/StartChangeSet", set("ClientRequestToken", `"`+strings.Repeat("a", 65)+`"`)},
		{"unknown intent", "/StartChangeSet", set("Intent", `"TRY"`)},
		{"Details and DetailsDocument", "/StartChangeSet", change("DetailsDocument", `{}`)},
		{"neither Details nor DetailsDocument", "/StartChangeSet", `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct@1.0"}}]}`},
		{"Details that are no JSON", "/StartChangeSet", `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct@1.0"},"Details":"{no}"}]}`},
		{"entity type without version", "/StartChangeSet", `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct"},"Details":"{}"}]}`},
		{"unknown change type", "/StartChangeSet", `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"PaintProduct","Entity":{"Type":"ContainerProduct@1.0","Identifier":"prod-abcdefghij123"},"Details":"{}"}]}`},
		{"identifier of a created entity", "/StartChangeSet", `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct@1.0","Identifier":"prod-abcdefghij123"},"Details":"{}"}]}`},
		{"no identifier", "/StartChangeSet", `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"ReleaseProduct","Entity":{"Type":"ContainerProduct@1.0"},"Details":"{}"}]}`},
		{"entity type with version in a list", "/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct@1.0"}`},
		{"51 results", "/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct","MaxResults":51}`},
		{"0 results", "/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct","MaxResults":0}`},
		{"21 results", "/ListChangeSets", `{"Catalog":"AWSMarketplace","MaxResults":21}`},
		{"unknown filter", "/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct","FilterList":[{"Name":"Colour","ValueList":["red"]}]}`},
		{"filter without values", "/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct","FilterList":[{"Name":"EntityId","ValueList":[]}]}`},
		{"11 filter values", "/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct","FilterList":[{"Name":"EntityId","ValueList":["a","b","c","d","e","f","g","h","i","j","k"]}]}`},
		{"unknown sort", "/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct","Sort":{"SortBy":"Colour"}}`},
		{"unknown sort order", "/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct","Sort":{"SortBy":"Name","SortOrder":"DESC"}}`},
		{"page token of nobody", "/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct","NextToken":"` + v.Unique + `"}`},
		{"unknown status", "/ListChangeSets", `{"Catalog":"AWSMarketplace","FilterList":[{"Name":"Status","ValueList":["DONE"]}]}`},
	} {
		a, err := v.Raw(ctx, "POST", c.path, c.body)
		if err != nil {
			return err
		}
		v.refused(c.what, a, 422, "ValidationException")
	}
	a, err := v.Raw(ctx, "POST", "/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"ServerProduct"}`)
	if err != nil {
		return err
	}
	v.refused("unknown entity type", a, 422, "ValidationException")
	v.Want(strings.Contains(a.Body, "entity type"), "unknown entity type: the message lacks the words \"entity type\": %s", a.Body)
	return nil
}

func noRequests(ctx context.Context, v *Visit) error {
	for _, c := range []struct{ what, method, target, body string }{
		{"unknown action", "POST", "/BurnEntities", `{}`},
		{"wrong method", "DELETE", "/StartChangeSet", ""},
		{"GET of a POST action", "GET", "/ListEntities", ""},
		{"no JSON", "POST", "/ListEntities", `{"Catalog"`},
		{"an array", "POST", "/ListEntities", `[]`},
		{"wrong JSON type", "POST", "/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":7}`},
		{"Details that are an object", "POST", "/StartChangeSet", `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct@1.0"},"Details":{}}]}`},
		{"a member twice", "POST", "/ListEntities", `{"Catalog":"AWSMarketplace","Catalog":"AWSMarketplace","EntityType":"ContainerProduct"}`},
		{"bad UTF-8", "POST", "/ListEntities", "{\"Catalog\":\"AWS\xff\",\"EntityType\":\"ContainerProduct\"}"},
		{"deep JSON", "POST", "/ListEntities", strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000)},
	} {
		a, err := v.Raw(ctx, c.method, c.target, c.body)
		if err != nil {
			return err
		}
		v.Want(a.Status >= 400 && a.Status < 500, "%s: got status %d, want 4xx: %s", c.what, a.Status, a.Body)
		v.Want(a.Header.Get("X-Amzn-Errortype") != "", "%s: header x-amzn-ErrorType is missing", c.what)
	}
	return nil
}

// oddDetails sends what programs in production sent: the answer is an error of
// the client, at once or in the list of the change set's errors.
func oddDetails(ctx context.Context, v *Visit) error {
	product, err := v.Limited(ctx, "Odd details "+v.Unique)
	if err != nil {
		return err
	}
	image := seller.DocumentedHost + "/nobody/nothing:1"
	for _, c := range []struct{ what, changeType, details string }{
		{"an id that is null", "RestrictDeliveryOptions", `{"DeliveryOptionIds":[null]}`},
		{"services as a string", "AddDeliveryOptions", strings.Replace(seller.Version("1", image), `["ECS","EKS"]`, `"ECS"`, 1)},
		{"override parameters as an object", "AddDeliveryOptions", `{"Version":{"VersionTitle":"1","ReleaseNotes":"n"},"DeliveryOptions":[{"DeliveryOptionTitle":"t","Details":{"HelmDeliveryOptionDetails":{"OverrideParameters":{}}}}]}`},
		{"keywords as a string", "UpdateInformation", `{"SearchKeywords":"123example456"}`},
		{"resources as a string", "UpdateInformation", `{"AdditionalResources":"123example456"}`},
		{"a title that is a number", "UpdateInformation", `{"ProductTitle":7}`},
		{"options that are null", "AddDeliveryOptions", `{"Version":null,"DeliveryOptions":null}`},
		{"an option that is null", "AddDeliveryOptions", `{"Version":{"VersionTitle":"1","ReleaseNotes":"n"},"DeliveryOptions":[null]}`},
		{"repositories that are null", "AddRepositories", `{"Repositories":[null]}`},
		{"a list for an object", "AddRepositories", `{"Repositories":{}}`},
	} {
		id, err := v.Start(ctx, seller.Change(c.changeType, product, c.details))
		if err != nil {
			v.WantError(c.what, err, "ValidationException", "")
			continue
		}
		set, err := v.Wait(ctx, id)
		if err != nil {
			return err
		}
		v.Want(string(set.FailureCode) == "CLIENT_ERROR", "%s: the change set is %s with %q, want FAILED with CLIENT_ERROR", c.what, set.Status, set.FailureCode)
	}
	return nil
}

func describeByPost(ctx context.Context, v *Visit) error {
	set, err := v.Do(ctx, seller.Change("CreateProduct", "", "{}"))
	if err != nil {
		return err
	}
	id := aws.ToString(set.ChangeSetId)
	a, err := v.Raw(ctx, http.MethodPost, "/DescribeChangeSet", seller.JSON(map[string]string{"Catalog": seller.Catalog, "ChangeSetID": id}))
	if err != nil {
		return err
	}
	v.Want(a.Status == 200 && strings.Contains(a.Body, id), "got status %d: %s", a.Status, a.Body)
	return nil
}
