package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// This file is what programs give and read back: every member that is recorded, the
// pages of lists, and what programs that make infrastructure from code rely on.

// TestMembersOfAppStreamComeBackAsTheyWereGiven, the pages of its lists, and what
// infrastructure programs do, in both protocols.
func TestMembersOfAppStreamComeBackAsTheyWereGiven(t *testing.T) {
	t.Parallel()
	s := newStage(t, false)
	ami := imported(t, s.server.Root(t), "members", "--public")
	t.Run("clients", func(t *testing.T) {
		for _, client := range []string{"JSON 1.1", "rpc-v2-cbor"} {
			t.Run(client, func(t *testing.T) {
				t.Parallel()
				l := newLife(t, s.server, client, ami, "")
				friend := newLife(t, s.server, client, ami, "-friend")
				l.builderMembers()
				l.imageMembers()
				l.pages(friend)
				l.asCode()
			})
		}
	})
	must(t, s.server.Stop())
	s.left.nothing(t)
}

// shows wants members of an answer to be what they were given as.
func shows(t *testing.T, what string, got object, want object) {
	t.Helper()
	for member, value := range want {
		if d := cmp.Diff(plain(t, value), plain(t, got[member])); d != "" {
			t.Errorf("%s: %s (-given +shown):\n%s", what, member, d)
		}
	}
}

// plain is a value as JSON has it.
func plain(t *testing.T, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	must(t, err)
	var v any
	must(t, json.Unmarshal(text, &v))
	return v
}

// lacks wants members not to be there.
func lacks(t *testing.T, what string, got object, members ...string) {
	t.Helper()
	for _, member := range members {
		if value, there := got[member]; there {
			t.Errorf("%s has %s: %v", what, member, value)
		}
	}
}

// input makes the JSON of an operation's members.
func input(t *testing.T, members ...object) string {
	t.Helper()
	all := object{}
	for _, m := range members {
		maps.Copy(all, m)
	}
	text, err := json.Marshal(all)
	must(t, err)
	return string(text)
}

// tagsOf is n tags of all characters that tags may have.
func tagsOf(n int) map[string]string {
	tags := map[string]string{}
	for i := range n {
		tags[fmt.Sprintf("Größe %d_.:/=+-@", i)] = strings.Repeat("ü", i)
	}
	return tags
}

// wantTags compares the tags of a resource.
func (l *life) wantTags(arn string, want map[string]string) {
	l.t.Helper()
	var got struct{ Tags map[string]string }
	l.ask("ListTagsForResource", in("ResourceArn", arn), &got)
	if d := cmp.Diff(want, got.Tags); d != "" {
		l.t.Errorf("tags of %s (-given +shown):\n%s", arn, d)
	}
}

// builderMembers: all members of CreateImageBuilder at their greatest length.
func (l *life) builderMembers() {
	t := l.t
	l.ask("CreateDirectoryConfig", input(t, object{
		"DirectoryName": "Corp.example.com", "OrganizationalUnitDistinguishedNames": []string{rowsUnit, "OU=b,DC=corp"},
		"ServiceAccountCredentials":      object{"AccountName": `corp\joiner`, "AccountPassword": "never shown"},
		"CertificateBasedAuthProperties": object{"Status": "DISABLED"},
	}), nil)
	var directories struct{ DirectoryConfigs []object }
	l.ask("DescribeDirectoryConfigs", in("DirectoryNames", []string{"corp.example.com"}), &directories)
	shows(t, "the directory", directories.DirectoryConfigs[0], object{
		"DirectoryName": "Corp.example.com", "OrganizationalUnitDistinguishedNames": []string{rowsUnit, "OU=b,DC=corp"},
		"CertificateBasedAuthProperties": object{"Status": "DISABLED"},
	})
	if text := fmt.Sprint(directories); !strings.Contains(text, `corp\joiner`) || strings.Contains(text, "never shown") {
		t.Errorf("the directory is shown as %s", text)
	}

	recorded := object{
		"Name": strings.Repeat("n", 98) + "_.-", "InstanceType": "stream.memory.large", "Description": strings.Repeat("Ü", 256), "DisplayName": strings.Repeat("ß", 100),
		"VpcConfig":                   object{"SubnetIds": []string{"subnet-0a1b2c3d"}, "SecurityGroupIds": []string{"sg-00000005", "sg-00000004", "sg-00000003", "sg-00000002", "sg-00000001"}},
		"IamRoleArn":                  l.role,
		"EnableDefaultInternetAccess": true,
		"DomainJoinInfo":              object{"DirectoryName": "corp.example.com", "OrganizationalUnitDistinguishedName": rowsUnit},
		"AccessEndpoints": []object{
			{"EndpointType": "STREAMING", "VpceId": "vpce-00000001"}, {"EndpointType": "STREAMING", "VpceId": "vpce-00000002"},
			{"EndpointType": "STREAMING", "VpceId": "vpce-00000003"}, {"EndpointType": "STREAMING", "VpceId": "vpce-0123456789abcdef0"},
		},
		"RootVolumeConfig": object{"VolumeSizeInGb": 200}, "DisableIMDSV1": true,
	}
	base := "arn:aws:appstream:us-east-1::image/" + baseImage
	var made struct{ ImageBuilder object }
	l.ask("CreateImageBuilder", input(t, recorded, object{"ImageArn": base, "AppstreamAgentVersion": "[LATEST]", "Tags": tagsOf(50)}), &made)
	called := recorded["Name"].(string)
	recorded["ImageArn"], recorded["Arn"] = base, "arn:aws:appstream:us-east-1:"+l.account.ID+":image-builder/"+called
	shows(t, "what CreateImageBuilder answers", made.ImageBuilder, recorded)
	l.reaches(called, "RUNNING", "PENDING")
	var page struct{ ImageBuilders []object }
	for _, step := range []struct{ operation, leadsTo string }{{"StopImageBuilder", "STOPPED"}, {"DeleteImageBuilder", ""}} {
		operation := step.operation
		l.ask("DescribeImageBuilders", in("Names", []string{called}), &page)
		shows(t, "before "+operation, page.ImageBuilders[0], recorded)
		l.wantTags(recorded["Arn"].(string), tagsOf(50))
		var left struct{ ImageBuilder object }
		l.ask(operation, in("Name", called), &left)
		shows(t, "what "+operation+" answers", left.ImageBuilder, recorded)
		if state := l.settles(called); state != step.leadsTo {
			t.Fatalf("after %s it is %q", operation, state)
		}
	}

	// One more is too long, too many or of another form.
	for member, wrong := range map[string]any{
		"Name": strings.Repeat("n", 102), "Description": strings.Repeat("d", 257), "DisplayName": strings.Repeat("d", 101), "Tags": tagsOf(51),
		"AccessEndpoints":       slices.Repeat([]object{{"EndpointType": "STREAMING", "VpceId": "vpce-00000001"}}, 5),
		"AppstreamAgentVersion": "", "IamRoleArn": "Images",
	} {
		l.refused("ValidationException", strings.ToLower(member[:1])+member[1:], "CreateImageBuilder", input(t, object{"Name": "wrong", "InstanceType": "stream.standard.small", "ImageName": baseImage}, object{member: wrong}))
	}
	// What is empty is shown so, and is no null.
	l.refused("ValidationException", "Value '' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9]", "CreateImageBuilder", builderInput("", baseImage))
	l.refused("ValidationException", "Value '{}' at 'tags' failed to satisfy constraint: Member must have length greater than or equal to 1", "CreateImageBuilder", builderInput("wrong", baseImage, "Tags", map[string]string{}))
	l.refused("ValidationException", "Value null at 'name' failed to satisfy constraint: Member must not be null", "CreateImageBuilder", in("InstanceType", "stream.standard.small"))
	for _, wrong := range []string{"-begins", "sp ace", "slash/ed", "ünicode"} {
		l.refused("ValidationException", "name", "CreateImageBuilder", builderInput(wrong, baseImage))
	}
	for _, wrong := range []map[string]string{{"aws:mine": "no"}, {"": "no"}, {"emoji🙂": "no"}, {"long": strings.Repeat("v", 257)}, {strings.Repeat("k", 129): "no"}} {
		l.refused("ValidationException", "tag", "CreateImageBuilder", builderInput("wrong", baseImage, "Tags", wrong))
	}
	l.ask("DeleteDirectoryConfig", in("DirectoryName", "corp.example.com"), nil)
}

// imageMembers: those of what makes images, copies, exports and shares them.
func (l *life) imageMembers() {
	t := l.t
	recorded := object{"Name": strings.Repeat("i", 101), "DisplayName": strings.Repeat("d", 100), "Description": strings.Repeat("e", 256)}
	called := recorded["Name"].(string)
	tags := tagsOf(50)
	l.ask("CreateImportedImage", input(t, recorded, object{
		"SourceAmiId": l.ami, "IamRoleArn": l.role, "Tags": tags, "AgentSoftwareVersion": "ALWAYS_LATEST",
		"RuntimeValidationConfig": object{"IntendedInstanceType": "stream.standard.small"},
		"AppCatalogConfig": []object{{
			"Name": "Shell", "DisplayName": "The shell", "AbsoluteAppPath": "/bin/sh", "WorkingDirectory": "/root", "LaunchParameters": "-c 'echo ü'",
		}},
	}), nil)
	l.available(called)
	arn := "arn:aws:appstream:us-east-1:" + l.account.ID + ":image/" + called
	recorded["Arn"], recorded["Visibility"], recorded["ImageType"], recorded["ImageSharedWithOthers"] = arn, "PRIVATE", "CUSTOM", "FALSE"
	recorded["LatestAppstreamAgentVersion"] = "TRUE"
	var page struct{ Images []object }
	l.ask("DescribeImages", in("Arns", []string{arn}), &page)
	shows(t, "the image", page.Images[0], recorded)
	application, _ := page.Images[0]["Applications"].([]any)[0].(object)
	shows(t, "its application", application, object{
		"Name": "Shell", "DisplayName": "The shell", "LaunchPath": "/bin/sh", "WorkingDirectory": "/root", "LaunchParameters": "-c 'echo ü'", "Enabled": true,
	})
	l.wantTags(arn, tags)

	// A copy elsewhere has other words, where they are given, and no tags.
	away := &apps{studios[l.client](t, l.s, "eu-west-1"), t, l.s}
	l.ask("CopyImage", in("SourceImageName", called, "DestinationImageName", "away", "DestinationRegion", "eu-west-1", "DestinationImageDescription", "elsewhere"), nil)
	away.available("away")
	away.ask("DescribeImages", in("Names", []string{"away"}), &page)
	shows(t, "the copy", page.Images[0], object{"Description": "elsewhere", "DisplayName": recorded["DisplayName"], "Applications": page.Images[0]["Applications"]})
	away.ask("DeleteImage", in("Name", "away"), nil)

	// An export has what it was given, too.
	var task struct{ ExportImageTask object }
	given := object{"AmiName": "members/" + called[:100], "AmiDescription": "of members", "TagSpecifications": tags}
	l.ask("CreateExportImageTask", input(t, given, object{"ImageName": called, "IamRoleArn": l.role}), &task)
	given["ImageArn"] = arn
	shows(t, "the task", task.ExportImageTask, given)
	id := task.ExportImageTask["TaskId"].(string)
	until(t, "the AMI", func() bool {
		l.ask("GetExportImageTask", in("TaskId", id), &task)
		return task.ExportImageTask["State"] == "COMPLETED"
	})
	shows(t, "the task that has ended", task.ExportImageTask, given)

	// Permissions are those that were given last.
	for _, may := range []object{{"allowFleet": true, "allowImageBuilder": false}, {"allowFleet": false, "allowImageBuilder": true}} {
		l.ask("UpdateImagePermissions", input(t, object{"Name": called, "SharedAccountId": "900000000001", "ImagePermissions": may}), nil)
		var shared struct {
			Name                       string
			SharedImagePermissionsList []object
		}
		l.ask("DescribeImagePermissions", in("Name", called), &shared)
		if shared.Name != called || len(shared.SharedImagePermissionsList) != 1 {
			t.Fatalf("permissions are %+v", shared)
		}
		shows(t, "the permission", shared.SharedImagePermissionsList[0], object{"sharedAccountId": "900000000001", "imagePermissions": may})
	}
	l.ask("DeleteImagePermissions", in("Name", called, "SharedAccountId", "900000000001"), nil)
}

// listing is an operation that lists, with one entry on a page.
type listing struct {
	operation string
	input     object
	list      string         // member of the answer
	id        string         // member of an entry
	other     object         // another request of the operation, which its tokens are not good for
	more      map[string]any // values of MaxResults that are refused
}

// pages: every list in pages of one, and what their tokens are good for.
func (l *life) pages(friend *life) {
	t := l.t
	for n := range 3 {
		l.ask("CreateImageBuilder", builderInput(fmt.Sprint("page-", n), baseImage, "DomainJoinInfo", nowhere), nil)
		l.ask("CreateDirectoryConfig", in("DirectoryName", fmt.Sprintf("page%d.example.com", n), "OrganizationalUnitDistinguishedNames", []string{rowsUnit}), nil)
	}
	l.ask("CreateImportedImage", in("Name", "paged", "SourceAmiId", l.ami, "IamRoleArn", l.role), nil)
	l.available("paged")
	for n := range 3 {
		l.ask("UpdateImagePermissions", in("Name", "paged", "SharedAccountId", fmt.Sprint("90000000000", n), "ImagePermissions", object{"allowFleet": true}), nil)
		l.ask("CreateExportImageTask", in("ImageName", "paged", "AmiName", fmt.Sprint("paged-", n), "IamRoleArn", l.role), nil)
	}
	all := []listing{
		{"DescribeImageBuilders", object{}, "ImageBuilders", "Name", object{"Names": []string{"page-0"}}, map[string]any{"negative": -1}},
		{"DescribeImages", object{}, "Images", "Arn", object{"Type": "PRIVATE"}, map[string]any{"negative": -1, "26": 26}},
		{"DescribeImages", object{"Names": []string{"paged", baseImage}}, "Images", "Arn", object{"Names": []string{baseImage, "paged"}}, nil},
		{"DescribeImagePermissions", object{"Name": "paged"}, "SharedImagePermissionsList", "sharedAccountId", object{"Name": "paged", "SharedAwsAccountIds": []string{"900000000001"}}, map[string]any{"501": 501}},
		{"DescribeDirectoryConfigs", object{}, "DirectoryConfigs", "DirectoryName", object{"DirectoryNames": []string{"page0.example.com"}}, nil},
		{"ListExportImageTasks", object{}, "ExportImageTasks", "TaskId", object{"Filters": []object{{"Name": "State", "Values": []string{"COMPLETED"}}}}, map[string]any{"501": 501}},
	}
	tokens := map[string]string{}
	for _, q := range all {
		whole, _ := l.entries(q, object{})
		var one []string
		token := object{}
		for {
			found, next := l.entries(q, token, object{"MaxResults": 1})
			if len(found) > 1 {
				t.Errorf("%s: a page of one has %d", q.operation, len(found))
			}
			one = append(one, found...)
			if next == "" {
				break
			}
			tokens[q.operation] = next
			token = object{"NextToken": next}
		}
		if len(whole) < 2 || !slices.Equal(whole, one) {
			t.Errorf("%s: page by page %v, at once %v", q.operation, one, whole)
		}
		const wrong = "The NextToken is not valid, or was returned for another request."
		last := tokens[q.operation]
		l.refused("ValidationException", wrong, q.operation, input(t, q.other, object{"NextToken": last}))
		l.refused("ValidationException", wrong, q.operation, input(t, q.input, object{"NextToken": last[1:]}))
		l.refused("ValidationException", wrong, q.operation, input(t, q.input, object{"NextToken": "x"}))
		if q.operation != "DescribeImagePermissions" { // of an image that the friend has not
			friend.refused("ValidationException", wrong, q.operation, input(t, q.input, object{"NextToken": last}))
		}
		for what, most := range q.more {
			if _, err := l.do(t, q.operation, input(t, q.input, object{"MaxResults": most})); err == nil || !strings.Contains(err.Error(), "ValidationException") {
				t.Errorf("%s with %s results: %v", q.operation, what, err)
			}
		}
	}
	l.refused("ValidationException", "NextToken", "DescribeImages", in("NextToken", tokens["DescribeImageBuilders"]))
	l.refused("ValidationException", "NextToken", "DescribeImageBuilders", in("NextToken", tokens["DescribeImages"]))
	for n := range 3 {
		l.ends(fmt.Sprint("page-", n))
	}
}

// entries are the ids of what a request lists, and the token of the next page.
func (l *life) entries(q listing, more ...object) (ids []string, next string) {
	l.t.Helper()
	var answer object
	l.ask(q.operation, input(l.t, append([]object{q.input}, more...)...), &answer)
	list, _ := answer[q.list].([]any)
	for _, entry := range list {
		id, _ := entry.(object)[q.id].(string)
		ids = append(ids, id)
	}
	next, _ = answer["NextToken"].(string)
	return ids, next
}

// resource is an image builder as a program of infrastructure from code has it: the
// attributes that its author wrote.
type resource struct {
	name       string
	attributes object
	tags       map[string]string
}

// asCode does what such programs do, in their order: they make a role and, without
// waiting for it, an image builder; accept no state but PENDING before RUNNING; read
// all again with its tags and find nothing to change; change tags; and delete,
// accepting DELETING until nothing is there.
func (l *life) asCode() {
	t := l.t
	var images struct{ Images []object }
	l.ask("DescribeImages", in("Names", []string{baseImage}), &images)
	image, _ := images.Images[0]["Arn"].(string)
	minimal := resource{"minimal", object{"InstanceType": "stream.standard.small"}, nil}
	full := resource{"full", object{
		"InstanceType": "stream.standard.medium", "Description": "Made from code", "DisplayName": "From code", "EnableDefaultInternetAccess": false,
		"VpcConfig": object{"SubnetIds": []string{"subnet-0a1b2c3d"}}, "IamRoleArn": "arn:aws:iam::" + l.account.ID + ":role/Late",
	}, map[string]string{"Key": "value", "Empty": ""}}

	for _, r := range []resource{minimal, full} {
		by := object{"Name": r.name, "ImageName": baseImage}
		if r.name == "full" {
			by = object{"Name": r.name, "ImageArn": image}
		}
		if r.tags != nil {
			by["Tags"] = r.tags
		}
		tries := 0
		until(t, r.name+" is made", func() bool {
			_, err := l.do(t, "CreateImageBuilder", input(t, r.attributes, by))
			var is *refusal
			if errors.As(err, &is) && is.Code == invalidRole && strings.Contains(is.Message, "encountered an error because your IAM role") && tries == 0 {
				tries++
				makeRole(t, l.s, "Late", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"appstream.amazonaws.com"},"Action":"sts:AssumeRole"}]}`, "")
				return false
			}
			must(t, err)
			return true
		})
		if wants := r.name == "full"; wants != (tries == 1) {
			t.Errorf("%s was refused %d times for its role", r.name, tries)
		}
		l.reaches(r.name, "RUNNING", "PENDING")
		l.reads(r, image)
	}
	// A second one of the same name is refused, and the first is as it was.
	l.refused(alreadyExists, "full", "CreateImageBuilder", builderInput("full", baseImage))
	arn := "arn:aws:appstream:us-east-1:" + l.account.ID + ":image-builder/full"
	l.ask("TagResource", in("ResourceArn", arn, "Tags", map[string]string{"Key": "updated", "Key2": "new"}), nil)
	l.ask("UntagResource", in("ResourceArn", arn, "TagKeys", []string{"Empty"}), nil)
	full.tags = map[string]string{"Key": "updated", "Key2": "new"}
	l.reads(full, image)
	for _, r := range []resource{minimal, full} {
		l.ask("DeleteImageBuilder", in("Name", r.name), nil) // it is RUNNING
		l.gone(r.name)
		l.refused(notFound, r.name, "DeleteImageBuilder", in("Name", r.name))
		l.refused(notFound, r.name, "ListTagsForResource", in("ResourceArn", "arn:aws:appstream:us-east-1:"+l.account.ID+":image-builder/"+r.name))
	}
}

// reads refreshes a resource: nothing is there that its author did not write, beside
// what only the service knows.
func (l *life) reads(r resource, image string) {
	t := l.t
	t.Helper()
	var page struct{ ImageBuilders []object }
	l.ask("DescribeImageBuilders", in("Names", []string{r.name}), &page)
	if len(page.ImageBuilders) != 1 {
		t.Fatalf("%s: %+v", r.name, page)
	}
	b := page.ImageBuilders[0]
	arn := "arn:aws:appstream:us-east-1:" + l.account.ID + ":image-builder/" + r.name
	shows(t, r.name, b, r.attributes)
	shows(t, r.name, b, object{"Name": r.name, "Arn": arn, "ImageArn": image, "State": "RUNNING"})
	computed := []string{"Name", "Arn", "ImageArn", "State", "CreatedTime", "AppstreamAgentVersion", "LatestAppstreamAgentVersion", "Platform", "EnableDefaultInternetAccess"}
	for member := range b {
		if _, given := r.attributes[member]; !given && !slices.Contains(computed, member) {
			t.Errorf("%s has %s, which nobody gave: %v", r.name, member, b[member])
		}
	}
	lacks(t, r.name, b, "DomainJoinInfo", "StateChangeReason", "ImageBuilderErrors", "AccessEndpoints")
	if r.tags == nil {
		r.tags = map[string]string{}
	}
	var tags struct{ Tags map[string]string }
	l.ask("ListTagsForResource", in("ResourceArn", arn), &tags)
	if len(tags.Tags)+len(r.tags) > 0 && !reflect.DeepEqual(tags.Tags, r.tags) {
		t.Errorf("tags of %s are %v, want %v", r.name, tags.Tags, r.tags)
	}
}
