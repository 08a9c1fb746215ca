package conformance

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/organizations"

	"souk/conformance/souktest"
)

// This file is every exception that the model binds to an operation of AppStream
// which is offered, each by its real cause, in both protocols.

// Exceptions of AppStream's model.
const (
	concurrent    = "ConcurrentModificationException"
	incompatible  = "IncompatibleImageException"
	combination   = "InvalidParameterCombinationException"
	invalidRole   = "InvalidRoleException"
	limitExceeded = "LimitExceededException"
	notPermitted  = "OperationNotPermittedException"
	alreadyExists = "ResourceAlreadyExistsException"
	inUse         = "ResourceInUseException"
	notAvailable  = "ResourceNotAvailableException"
	notFound      = "ResourceNotFoundException"
	requestLimit  = "RequestLimitExceededException"
	dryRun        = "DryRunOperationException"
	openSession   = "OpenImageBuilderSession" // an operation of ours
	rowsUnit      = "OU=Desks,DC=corp,DC=example,DC=com"
)

// exceptionRow is an exception of an operation and what provokes it: one request,
// or several that are sent at once, again and again until one is refused so.
type exceptionRow struct {
	operation, exception string
	words                string // of the message; with what the request named
	input                func(s *scene) string
	crowd                func(s *scene, n int) []sent // of try n
}

// sent is a request of a crowd.
type sent struct{ operation, input string }

// same is one request n times.
func same(n int, operation, input string) []sent {
	return slices.Repeat([]sent{{operation, input}}, n)
}

// scene is what the rows of one client have: an account with
//
//	images          kept (AVAILABLE), shared (with the friend), broken (FAILED)
//	image builders  desk (RUNNING, made from kept, in the directory), still (STOPPED)
//	directory       corp.example.com
//	AMIs            ami, and arm for another processor
//
// and a small account that may have one image, which is there, and one image
// builder, which is there too.
type scene struct {
	*apps
	server   *souktest.Server
	account  string
	friend   string
	small    *apps
	smallID  string
	ami, arm string
	role     string
	bound    map[string][]string // exceptions by operation
}

// arn is the ARN of something of the account.
func (s *scene) arn(what, name string) string {
	return "arn:aws:appstream:us-east-1:" + s.account + ":" + what + "/" + name
}

// builder is the input of CreateImageBuilder with what it needs, and more.
func builderInput(name, image string, pairs ...any) string {
	return in(append([]any{"Name", name, "InstanceType", "stream.standard.small", "ImageName", image, "EnableDefaultInternetAccess", false}, pairs...)...)
}

// imported is the input of CreateImportedImage with what it needs, and more.
func (s *scene) imported(name string, pairs ...any) string {
	return in(append([]any{"Name", name, "SourceAmiId", s.ami, "IamRoleArn", s.role}, pairs...)...)
}

// exported is the input of CreateExportImageTask with what it needs.
func (s *scene) exported(image, ami string) string {
	return in("ImageName", image, "AmiName", ami, "IamRoleArn", s.role)
}

// nowhere is a directory that there is not: what joins it fails before a machine is made.
var nowhere = map[string]string{"DirectoryName": "nowhere.example.com"}

// exceptionRows are all rows.
func exceptionRows() []exceptionRow {
	unit := []string{rowsUnit}
	allow := map[string]bool{"allowImageBuilder": true}
	named := func(member, name string) func(*scene) string { return func(*scene) string { return in(member, name) } }
	tagged := func(n int, arn string) sent {
		return sent{"TagResource", in("ResourceArn", arn, "Tags", map[string]string{"try": strconv.Itoa(n)})}
	}
	shared := func(name, account string) string {
		return in("Name", name, "SharedAccountId", account, "ImagePermissions", allow)
	}
	copied := func(from, to string) string {
		return in("SourceImageName", from, "DestinationImageName", to, "DestinationRegion", "eu-west-1")
	}
	most := func(n int) map[string]string {
		tags := map[string]string{}
		for i := range n {
			tags[fmt.Sprint("key-", i)] = ""
		}
		return tags
	}
	return []exceptionRow{
		{"CopyImage", limitExceeded, "limit of images in this region, which is 1", func(s *scene) string {
			return in("SourceImageName", "only", "DestinationImageName", "second", "DestinationRegion", "us-east-1")
		}, nil},
		{"CopyImage", alreadyExists, "image kept", func(*scene) string {
			return in("SourceImageName", "shared", "DestinationImageName", "kept", "DestinationRegion", "us-east-1")
		}, nil},
		{"CopyImage", notAvailable, "image broken is FAILED", func(*scene) string { return copied("broken", "mended") }, nil},
		{"CopyImage", notFound, "image nothing", func(*scene) string { return copied("nothing", "something") }, nil},

		{"CreateDirectoryConfig", limitExceeded, "50 directory configs", func(s *scene) string {
			for n := range 50 {
				s.small.ask("CreateDirectoryConfig", in("DirectoryName", fmt.Sprintf("d%d.example.com", n), "OrganizationalUnitDistinguishedNames", unit), nil)
			}
			return in("DirectoryName", "one-more.example.com", "OrganizationalUnitDistinguishedNames", unit)
		}, nil},
		{"CreateDirectoryConfig", notPermitted, "Certificate-based authentication can't be enabled here", func(*scene) string {
			return in("DirectoryName", "smart.example.com", "OrganizationalUnitDistinguishedNames", unit, "CertificateBasedAuthProperties", map[string]string{"Status": "ENABLED"})
		}, nil},
		{"CreateDirectoryConfig", alreadyExists, "corp.example.com", func(*scene) string {
			return in("DirectoryName", "corp.example.com", "OrganizationalUnitDistinguishedNames", unit)
		}, nil},

		{"CreateExportImageTask", concurrent, "image kept", nil, func(s *scene, n int) []sent {
			return append([]sent{{"CreateExportImageTask", s.exported("kept", fmt.Sprint("raced-", n))}}, slices.Repeat([]sent{tagged(n, s.arn("image", "kept"))}, 4)...)
		}},
		{"CreateExportImageTask", invalidRole, "encountered an error because your IAM role arn:aws:iam::", func(s *scene) string {
			return in("ImageName", "kept", "AmiName", "by-nobody", "IamRoleArn", s.role+"-that-is-not")
		}, nil},
		{"CreateExportImageTask", limitExceeded, "5 export tasks under way", nil, func(s *scene, n int) []sent {
			var all []sent
			for i := range 12 {
				all = append(all, sent{"CreateExportImageTask", s.exported("kept", fmt.Sprintf("many-%d-%d", n, i))})
			}
			return all
		}},
		{"CreateExportImageTask", notPermitted, "an AMI with the name taken", func(s *scene) string {
			until(s.t, "fewer export tasks", func() bool {
				_, err := s.do(s.t, "CreateExportImageTask", s.exported("kept", "taken"))
				return err == nil
			})
			return s.exported("kept", "taken")
		}, nil},
		{"CreateExportImageTask", notAvailable, "image broken is FAILED", func(s *scene) string { return s.exported("broken", "of-nothing") }, nil},
		{"CreateExportImageTask", notFound, "image nothing", func(s *scene) string { return s.exported("nothing", "of-nothing") }, nil},

		{"CreateImageBuilder", concurrent, "image kept", nil, func(s *scene, n int) []sent {
			return append([]sent{{"CreateImageBuilder", builderInput(fmt.Sprint("raced-", n), "kept", "DomainJoinInfo", nowhere)}}, slices.Repeat([]sent{tagged(n, s.arn("image", "kept"))}, 4)...)
		}},
		{"CreateImageBuilder", incompatible, "image kept can't be used with the instance type stream.graphics-pro.4xlarge", func(*scene) string {
			return builderInput("drawing", "kept", "InstanceType", "stream.graphics-pro.4xlarge")
		}, nil},
		{"CreateImageBuilder", combination, "ImageName and ImageArn can't be given together", func(s *scene) string {
			return builderInput("both", "kept", "ImageArn", s.arn("image", "kept"))
		}, nil},
		{"CreateImageBuilder", invalidRole, "encountered an error because your IAM role arn:aws:iam::", func(s *scene) string {
			return builderInput("roleless", "kept", "IamRoleArn", s.role+"-that-is-not")
		}, nil},
		{"CreateImageBuilder", limitExceeded, "The account has 1 image builders in this region", func(*scene) string { return builderInput("second", "only") }, nil},
		{"CreateImageBuilder", notPermitted, "SoftwaresToInstall", func(*scene) string {
			return builderInput("licensed", "kept", "SoftwaresToInstall", []string{"Microsoft_Office_2021_LTSC_Professional_Plus_32Bit"})
		}, nil},
		{"CreateImageBuilder", requestLimit, "Rate exceeded", nil, func(s *scene, n int) []sent {
			if n == 0 {
				s.server.Must(s.t, "quota", "set", "--account", s.smallID, "appstream.CreateImageBuilder", "0.001")
			}
			return same(1, "CreateImageBuilder", builderInput("second", "only"))
		}},
		{"CreateImageBuilder", alreadyExists, "image builder desk", func(*scene) string { return builderInput("desk", "kept") }, nil},
		{"CreateImageBuilder", notAvailable, "The image broken is FAILED. The image must be in an AVAILABLE state for this action to succeed.", func(*scene) string {
			return builderInput("hopeless", "broken")
		}, nil},
		{"CreateImageBuilder", notFound, "does not exist", func(*scene) string { return builderInput("baseless", "nothing") }, nil},

		{"CreateImportedImage", dryRun, "image tried", func(s *scene) string { return s.imported("tried", "DryRun", true) }, nil},
		{"CreateImportedImage", incompatible, "is for arm64", func(s *scene) string { return s.imported("armed", "SourceAmiId", s.arm) }, nil},
		{"CreateImportedImage", combination, "Give SourceAmiId and IamRoleArn", named("Name", "of-nothing"), nil},
		{"CreateImportedImage", invalidRole, "encountered an error because your IAM role arn:aws:iam::", func(s *scene) string {
			return s.imported("by-nobody", "IamRoleArn", s.role+"-that-is-not")
		}, nil},
		{"CreateImportedImage", limitExceeded, "limit of images in this region, which is 1", func(s *scene) string {
			return s.imported("second", "IamRoleArn", strings.Replace(s.role, s.account, s.smallID, 1))
		}, nil},
		{"CreateImportedImage", notPermitted, "Images of WorkSpaces are not offered", func(s *scene) string {
			return s.imported("space", "WorkspaceImageId", "wsi-123456789")
		}, nil},
		{"CreateImportedImage", alreadyExists, "image kept", func(s *scene) string { return s.imported("kept") }, nil},
		{"CreateImportedImage", notFound, "AMI ami-0fffffffffffffff0", func(s *scene) string {
			return s.imported("absent", "SourceAmiId", "ami-0fffffffffffffff0")
		}, nil},

		{"DeleteDirectoryConfig", inUse, "corp.example.com is in use by the image builder desk", named("DirectoryName", "corp.example.com"), nil},
		{"DeleteDirectoryConfig", notFound, "nowhere.example.com", named("DirectoryName", "nowhere.example.com"), nil},

		{"DeleteImage", concurrent, "image raced-", nil, func(s *scene, n int) []sent {
			name := fmt.Sprint("raced-", n)
			s.ask("CopyImage", in("SourceImageName", "kept", "DestinationImageName", name, "DestinationRegion", "us-east-1"), nil)
			s.available(name)
			return same(6, "DeleteImage", in("Name", name))
		}},
		{"DeleteImage", notPermitted, "image shared is shared with other accounts", named("Name", "shared"), nil},
		{"DeleteImage", inUse, "image kept is in use by", named("Name", "kept"), nil},
		{"DeleteImage", notFound, "image nothing", named("Name", "nothing"), nil},

		{"DeleteImageBuilder", concurrent, "image builder raced-deleted-", nil, func(s *scene, n int) []sent {
			name := fmt.Sprint("raced-deleted-", n)
			s.ask("CreateImageBuilder", builderInput(name, "kept", "DomainJoinInfo", nowhere), nil)
			s.reaches(name, "FAILED", "PENDING")
			return same(6, "DeleteImageBuilder", in("Name", name))
		}},
		{"DeleteImageBuilder", notPermitted, "and can't be deleted", nil, func(s *scene, n int) []sent { // of one that is PENDING
			name := fmt.Sprint("pending-deleted-", n)
			return []sent{{"CreateImageBuilder", builderInput(name, "kept")}, {"DeleteImageBuilder", in("Name", name)}, {"DeleteImageBuilder", in("Name", name)}, {"DeleteImageBuilder", in("Name", name)}}
		}},
		{"DeleteImageBuilder", notFound, "image builder nothing", named("Name", "nothing"), nil},

		{"DeleteImagePermissions", notAvailable, "image broken is FAILED", func(s *scene) string { return in("Name", "broken", "SharedAccountId", s.friend) }, nil},
		{"DeleteImagePermissions", notFound, "image kept is not shared with account", func(s *scene) string { return in("Name", "kept", "SharedAccountId", s.friend) }, nil},

		{"DescribeDirectoryConfigs", notFound, "nowhere.example.com", func(*scene) string { return in("DirectoryNames", []string{"nowhere.example.com"}) }, nil},
		{"DescribeImageBuilders", notFound, "image builder nothing", func(*scene) string { return in("Names", []string{"desk", "nothing"}) }, nil},
		{"DescribeImagePermissions", notFound, "image nothing", named("Name", "nothing"), nil},
		{"DescribeImages", combination, "Names and Arns can't be given together", func(s *scene) string {
			return in("Names", []string{"kept"}, "Arns", []string{s.arn("image", "kept")})
		}, nil},
		{"DescribeImages", notFound, "The image nothing for account ", func(*scene) string { return in("Names", []string{"nothing"}) }, nil},

		{"GetExportImageTask", notFound, "01234567-89ab-cdef-0123-456789abcdef", named("TaskId", "01234567-89ab-cdef-0123-456789abcdef"), nil},
		{"ListExportImageTasks", notPermitted, "There is no filter Colour", func(*scene) string {
			return in("Filters", []any{map[string]any{"Name": "Colour", "Values": []string{"blue"}}})
		}, nil},

		{"ListTagsForResource", notFound, "image builder nothing", func(s *scene) string { return in("ResourceArn", s.arn("image-builder", "nothing")) }, nil},

		{openSession, notPermitted, "The image builder still is STOPPED. The image builder must be in a RUNNING state for this action to succeed.", func(*scene) string {
			return in("Name", "still", "Kind", "TERMINAL")
		}, nil},
		{openSession, notFound, "image builder nothing", func(*scene) string { return in("Name", "nothing", "Kind", "TERMINAL") }, nil},

		{"StartImageBuilder", concurrent, "image builder still", nil, func(s *scene, _ int) []sent {
			return s.resting("still", "STOPPED", "StopImageBuilder", "StartImageBuilder")
		}},
		{"StartImageBuilder", notAvailable, "The image builder desk is RUNNING. The image builder must be in a STOPPED state for this action to succeed.", named("Name", "desk"), nil},
		{"StartImageBuilder", notFound, "image builder nothing", named("Name", "nothing"), nil},

		{"StopImageBuilder", concurrent, "image builder still", nil, func(s *scene, _ int) []sent {
			return s.resting("still", "RUNNING", "StartImageBuilder", "StopImageBuilder")
		}},
		{"StopImageBuilder", notPermitted, "image builder failed is FAILED and can't be stopped", named("Name", "failed"), nil},
		{"StopImageBuilder", notFound, "image builder nothing", named("Name", "nothing"), nil},

		{"TagResource", limitExceeded, "50 tags at most", func(s *scene) string {
			s.ask("TagResource", in("ResourceArn", s.arn("image-builder", "desk"), "Tags", most(50)), nil)
			return in("ResourceArn", s.arn("image-builder", "desk"), "Tags", map[string]string{"one": "more"})
		}, nil},
		{"TagResource", notFound, "image nothing", func(s *scene) string {
			return in("ResourceArn", s.arn("image", "nothing"), "Tags", map[string]string{"a": "b"})
		}, nil},
		{"UntagResource", notFound, "image nothing", func(s *scene) string {
			return in("ResourceArn", s.arn("image", "nothing"), "TagKeys", []string{"a"})
		}, nil},

		{"UpdateDirectoryConfig", concurrent, "corp.example.com", nil, func(_ *scene, n int) []sent {
			return same(6, "UpdateDirectoryConfig", in("DirectoryName", "corp.example.com", "OrganizationalUnitDistinguishedNames", []string{rowsUnit, fmt.Sprintf("OU=Desk%d,DC=corp", n)}))
		}},
		{"UpdateDirectoryConfig", notPermitted, "Certificate-based authentication can't be enabled here", func(*scene) string {
			return in("DirectoryName", "corp.example.com", "CertificateBasedAuthProperties", map[string]string{"Status": "ENABLED_NO_DIRECTORY_LOGIN_FALLBACK"})
		}, nil},
		{"UpdateDirectoryConfig", inUse, rowsUnit, func(*scene) string {
			return in("DirectoryName", "corp.example.com", "OrganizationalUnitDistinguishedNames", []string{"OU=Other,DC=corp"})
		}, nil},
		{"UpdateDirectoryConfig", notFound, "nowhere.example.com", func(*scene) string {
			return in("DirectoryName", "nowhere.example.com", "OrganizationalUnitDistinguishedNames", unit)
		}, nil},

		{"UpdateImagePermissions", limitExceeded, "image wide is shared with 100 accounts", func(s *scene) string {
			s.ask("CopyImage", in("SourceImageName", "kept", "DestinationImageName", "wide", "DestinationRegion", "us-east-1"), nil)
			s.available("wide")
			for n := range 100 {
				s.ask("UpdateImagePermissions", shared("wide", fmt.Sprintf("9%011d", n)), nil)
			}
			return shared("wide", "800000000000")
		}, nil},
		{"UpdateImagePermissions", notAvailable, "image broken is FAILED", func(s *scene) string { return shared("broken", s.friend) }, nil},
		{"UpdateImagePermissions", notFound, "image nothing", func(s *scene) string { return shared("nothing", s.friend) }, nil},
	}
}

// resting brings an image builder into a state and returns requests to leave it,
// all at once.
func (s *scene) resting(name, state, into, out string) []sent {
	if now := s.one(name).State; now != state {
		until(s.t, into, func() bool {
			if b := s.one(name); b.State == state {
				return true
			}
			_, _ = s.do(s.t, into, in("Name", name))
			return false
		})
	}
	return same(6, out, in("Name", name))
}

// newScene makes all that the rows need.
func newScene(t *testing.T, server *souktest.Server, client, ami, arm string) *scene {
	t.Helper()
	short := strings.ToLower(strings.NewReplacer(" ", "-", ".", "-").Replace(client))
	a, account := newApps(t, server, short+"-rows", client)
	small, smallAccount := newApps(t, server, short+"-small", client)
	s := &scene{apps: a, server: server, account: account.ID, friend: smallAccount.ID, small: small, smallID: smallAccount.ID, ami: ami, arm: arm, bound: boundExceptions(t)}
	s.role = pipelineRole(t, a.s, account.ID)
	pipelineRole(t, small.s, smallAccount.ID)
	unit := []string{rowsUnit}

	s.ask("CreateImportedImage", s.imported("kept"), nil)
	s.ask("CreateImportedImage", s.imported("shared"), nil)
	s.ask("CreateImportedImage", s.imported("broken", "AppCatalogConfig", []any{map[string]string{"Name": "Absent", "AbsoluteAppPath": "/opt/absent"}}), nil)
	small.ask("CreateImportedImage", s.imported("only", "IamRoleArn", strings.Replace(s.role, s.account, s.smallID, 1)), nil)
	s.ask("CreateDirectoryConfig", in("DirectoryName", "corp.example.com", "OrganizationalUnitDistinguishedNames", unit,
		"ServiceAccountCredentials", map[string]string{"AccountName": "joiner", "AccountPassword": "of-the-service"}), nil)
	s.available("kept")
	s.ask("CreateImageBuilder", builderInput("desk", "kept", "DomainJoinInfo", map[string]string{"DirectoryName": "corp.example.com", "OrganizationalUnitDistinguishedName": rowsUnit}), nil)
	s.ask("CreateImageBuilder", builderInput("still", "kept"), nil)
	s.ask("CreateImageBuilder", builderInput("failed", "kept", "DomainJoinInfo", nowhere), nil)
	s.available("shared")
	s.ask("UpdateImagePermissions", in("Name", "shared", "SharedAccountId", s.friend, "ImagePermissions", map[string]bool{"allowImageBuilder": true}), nil)
	until(t, "broken FAILED", func() bool { return s.image("broken").State == "FAILED" })
	small.available("only")
	small.ask("CreateImageBuilder", builderInput("first", "only", "DomainJoinInfo", nowhere), nil)
	for _, limit := range []string{"appstream.ImageBuilders", "appstream.Images"} {
		server.Must(t, "quota", "set", "--account", s.smallID, limit, "1")
	}
	s.reaches("desk", "RUNNING", "PENDING")
	s.reaches("still", "RUNNING", "PENDING")
	s.reaches("failed", "FAILED", "PENDING")
	small.reaches("first", "FAILED", "PENDING")
	s.ask("StopImageBuilder", in("Name", "still"), nil)
	s.reaches("still", "STOPPED", "STOPPING")
	return s
}

// cleared deletes all image builders of the account.
func (a *apps) cleared() {
	a.t.Helper()
	until(a.t, "no image builders", func() bool {
		var page struct{ ImageBuilders []imageBuilder }
		a.ask("DescribeImageBuilders", in(), &page)
		for _, b := range page.ImageBuilders {
			_, _ = a.do(a.t, "DeleteImageBuilder", in("Name", b.Name)) // one that is PENDING later
		}
		return len(page.ImageBuilders) == 0
	})
}

// bySmall are the rows that the small account provokes.
var bySmall = map[[2]string]bool{
	{"CopyImage", limitExceeded}: true, {"CreateDirectoryConfig", limitExceeded}: true, {"CreateImageBuilder", limitExceeded}: true,
	{"CreateImageBuilder", requestLimit}: true, {"CreateImportedImage", limitExceeded}: true,
}

// meets provokes a row.
func (s *scene) meets(r exceptionRow) {
	s.t.Helper()
	a := s.apps
	if bySmall[[2]string{r.operation, r.exception}] {
		a = s.small
	}
	if r.input != nil {
		a.refused(r.exception, r.words, r.operation, r.input(s))
		return
	}
	n := 0
	until(s.t, r.operation+" "+r.exception, func() bool {
		crowd := r.crowd(s, n)
		n++
		said := make([]error, len(crowd))
		var all sync.WaitGroup
		for i, q := range crowd {
			all.Go(func() { _, said[i] = a.do(s.t, q.operation, q.input) })
		}
		all.Wait()
		found := false
		for i, err := range said {
			var is *refusal
			if err == nil || !errors.As(err, &is) {
				continue
			}
			if !slices.Contains(s.bound[crowd[i].operation], is.Code) {
				s.t.Errorf("%s is refused by %v, which is not bound to it", crowd[i].operation, is)
			}
			found = found || crowd[i].operation == r.operation && is.Code == r.exception && strings.Contains(is.Message, r.words)
		}
		return found
	})
}

// TestEveryExceptionOfAppStreamByItsCause provokes every row in both protocols.
func TestEveryExceptionOfAppStreamByItsCause(t *testing.T) {
	t.Parallel()
	o, left := watched(t, souktest.Options{Quotas: true, Flags: []string{"--image-builders", "1000", "--appstream-images", "1000"}})
	server := souktest.Start(t, o)
	ami := imported(t, server.Root(t), "rows", "--arch", "x86_64", "--public")
	arm := armAMI(t, server)
	t.Run("clients", func(t *testing.T) {
		for _, client := range []string{"JSON 1.1", "rpc-v2-cbor"} {
			t.Run(client, func(t *testing.T) {
				t.Parallel()
				s := newScene(t, server, client, ami, arm)
				for _, r := range exceptionRows() {
					s.meets(r)
				}
				s.oneOfMany()
				s.throttled()
				s.cleared()
				s.small.cleared()
				s.closed()
			})
		}
	})
	must(t, server.Stop())
	left.nothing(t)
}

// armAMI is the id of a public AMI for another processor.
func armAMI(t *testing.T, server *souktest.Server) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	const system = "ID=debian\nVERSION_ID=\"13\"\n"
	must(t, w.WriteHeader(&tar.Header{Name: "etc/os-release", Mode: 0o644, Size: int64(len(system))}))
	_, err := w.Write([]byte(system))
	must(t, err)
	must(t, w.Close())
	file := filepath.Join(t.TempDir(), "arm.tar")
	must(t, os.WriteFile(file, b.Bytes(), 0o600))
	id, err := souk(t, server.Root(t), "image", "import", file, "--name", "rows-arm", "--arch", "arm64", "--public")
	if err != nil {
		t.Fatalf("souk image import: %v: %s", err, id)
	}
	return strings.TrimSpace(id)
}

// oneOfMany: of many that make an image builder of one name at once, one does.
func (s *scene) oneOfMany() {
	s.t.Helper()
	var all sync.WaitGroup
	said := make([]error, 8)
	for i := range said {
		all.Go(func() {
			_, said[i] = s.do(s.t, "CreateImageBuilder", builderInput("contested", "kept", "DomainJoinInfo", nowhere))
		})
	}
	all.Wait()
	made := 0
	for _, err := range said {
		var is *refusal
		switch {
		case err == nil:
			made++
		case !errors.As(err, &is) || is.Code != alreadyExists && is.Code != concurrent:
			s.t.Errorf("one of many is refused by %v", err)
		}
	}
	if made != 1 {
		s.t.Errorf("%d image builders of one name were made", made)
	}
}

// throttled: a rate of any other operation is told by the gateway's own error.
func (s *scene) throttled() {
	s.t.Helper()
	s.server.Must(s.t, "quota", "set", "--account", s.smallID, "appstream.DescribeImages", "0.001")
	until(s.t, "ThrottlingException", func() bool {
		_, err := s.small.do(s.t, "DescribeImages", "{}")
		var is *refusal
		return errors.As(err, &is) && is.Code == "ThrottlingException" && is.Message == "Rate exceeded"
	})
}

// closed: the keys of an account that is closed are no keys, so that nothing is
// there to answer InvalidAccountStatusException to.
func (s *scene) closed() {
	s.t.Helper()
	key := s.server.Root(s.t)
	root := organizations.New(organizations.Options{
		Region: "us-east-1", BaseEndpoint: &key.URL, RetryMaxAttempts: 10,
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, ""),
	})
	_, err := root.CloseAccount(s.t.Context(), &organizations.CloseAccountInput{AccountId: &s.smallID})
	must(s.t, err)
	until(s.t, "a closed account is refused", func() bool {
		_, err := s.small.do(s.t, "CreateImageBuilder", builderInput("late", "only"))
		var is *refusal
		return errors.As(err, &is) && is.Code == "UnrecognizedClientException"
	})
}
