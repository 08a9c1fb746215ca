package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// This file has the steps of the story about AppStream: what was built is worked on
// by hand, in an image builder, and becomes an image again.

// Names of what these steps make, and delete again.
const (
	workbench = "workbench"  // the image builder
	workImage = "research-1" // the AppStream image that it begins with
	workMade  = "research-2" // the one that is made of it
)

// appStream has the shopper ask an action of AppStream, shows the command as the AWS
// CLI has it, and the part of the answer that query names: Image.State.
func (s *shopper) appStream(ctx context.Context, command, options, query string, in map[string]any) error {
	s.aws("appstream "+command, options, "--query "+query)
	m, err := s.market()
	if err != nil {
		return err
	}
	var words strings.Builder
	for word := range strings.SplitSeq(command, "-") {
		words.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	var answer json.RawMessage
	err = m.appStream(ctx, words.String(), in, &answer)
	if err != nil {
		return err
	}
	return s.tell.part(answer, strings.Split(query, ".")...)
}

// states asks again and again for the state of something until it is the one that is
// wanted, and shows all on one line.
func (s *story) states(ctx context.Context, what, want string, every time.Duration, ask func() (state string, err error)) (took time.Duration, err error) {
	line, began := s.tell.wait("waiting for "+what), time.Now()
	defer line.done()
	err = again(ctx, what, every, func() (bool, error) {
		state, err := ask()
		if err != nil {
			return false, err
		}
		line.state(state)
		if state == "FAILED" {
			return false, fmt.Errorf("%s is FAILED, want %s", what, want)
		}
		return state == want, nil
	})
	return time.Since(began), err
}

// bringWorkbench makes an AppStream image of the AMI that was built, and an image
// builder of that.
func (s *story) bringWorkbench(ctx context.Context) error {
	member := s.private.member
	m, err := member.market()
	if err != nil {
		return err
	}
	role, err := s.lendRole(ctx, m)
	if err != nil {
		return err
	}
	s.built.role = role
	err = member.appStream(ctx, "create-imported-image", "--name "+workImage+" --source-ami-id "+s.built.image+" --iam-role-arn "+role, "Image.State",
		map[string]any{"Name": workImage, "SourceAmiId": s.built.image, "IamRoleArn": role})
	if err != nil {
		return err
	}
	_, err = s.states(ctx, "image "+workImage, "AVAILABLE", calmly, func() (string, error) { return stateOfImage(ctx, m, workImage) })
	if err != nil {
		return err
	}
	err = member.appStream(ctx, "create-image-builder", "--name "+workbench+" --image-name "+workImage+" --instance-type stream.standard.small", "ImageBuilder.State",
		map[string]any{"Name": workbench, "ImageName": workImage, "InstanceType": "stream.standard.small"})
	if err != nil {
		return err
	}
	took, err := s.states(ctx, "image builder "+workbench, "RUNNING", quickly, func() (string, error) { return stateOfBuilder(ctx, m, workbench) })
	if err != nil {
		return err
	}
	s.tell.good("a machine of the department's own was RUNNING after %d ms; souk connect %s is a terminal in it", took.Milliseconds(), workbench)
	return nil
}

// lendRole makes the role by which AppStream reads AMIs of the account, and makes new
// ones.
func (s *story) lendRole(ctx context.Context, m *remoteMarket) (arn string, err error) {
	member := s.private.member
	member.aws("iam create-role", "--role-name "+appStreamRole, "--assume-role-policy-document '"+appStreamTrust+"'", "--query Role.Arn")
	member.aws("iam put-role-policy", "--role-name "+appStreamRole+" --policy-name images", "--policy-document '"+appStreamPolicy+"'")
	arn, err = m.appStreamRole(ctx)
	if err != nil {
		return "", err
	}
	s.tell.answer([]byte(`"` + arn + `"`))
	return arn, nil
}

// stateOfImage is the state of an AppStream image of the account.
func stateOfImage(ctx context.Context, m *remoteMarket, name string) (string, error) {
	var found struct{ Images []appStreamImage }
	err := m.appStream(ctx, "DescribeImages", map[string]any{"Names": []string{name}}, &found)
	return one(found.Images, err, func(i appStreamImage) string { return i.State })
}

// stateOfBuilder is the state of an image builder.
func stateOfBuilder(ctx context.Context, m *remoteMarket, name string) (string, error) {
	var found struct{ ImageBuilders []struct{ State string } }
	err := m.appStream(ctx, "DescribeImageBuilders", map[string]any{"Names": []string{name}}, &found)
	return one(found.ImageBuilders, err, func(b struct{ State string }) string { return b.State })
}

// gone is the state of what is not there.
const gone = "gone"

// one is the state of the one thing that was asked for, gone if it is not there.
func one[T any](all []T, err error, state func(T) string) (string, error) {
	switch {
	case code(err) == "ResourceNotFoundException":
		return gone, nil
	case err != nil:
		return "", err
	case len(all) != 1:
		return gone, nil
	}
	return state(all[0]), nil
}

// workInside installs a program in the image builder, and has an image made of it.
func (s *story) workInside(ctx context.Context) error {
	member := s.private.member
	m, err := member.market()
	if err != nil {
		return err
	}
	dir, err := s.folder()
	if err != nil {
		return err
	}
	program := filepath.Join(dir, "research")
	err = os.WriteFile(program, []byte("#!/bin/sh\n"+packageName+"\necho Research has begun.\n"), 0o700)
	if err != nil {
		return err
	}
	member.command("souk cp research " + workbench + ":/usr/bin/")
	err = member.souk(ctx, io.Discard, "cp", program, workbench+":/usr/bin/")
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"research"},
		{"image-assistant", "add-application", "--name", "Research", "--absolute-app-path", "/usr/bin/research"},
		{"image-assistant", "create-image", "--name", workMade, "--description", "Made by hand"},
	} {
		err = s.inside(ctx, args)
		if err != nil {
			return err
		}
	}
	_, err = s.states(ctx, "image "+workMade, "AVAILABLE", calmly, func() (string, error) { return stateOfImage(ctx, m, workMade) })
	if err != nil {
		return err
	}
	member.aws("appstream describe-images", "--names "+workMade, "--query 'Images[0].[State,BaseImageArn,Applications[].[Name,LaunchPath]]'")
	var found struct {
		Images []struct {
			State, BaseImageArn string
			Applications        []struct{ Name, LaunchPath string }
		}
	}
	err = m.appStream(ctx, "DescribeImages", map[string]any{"Names": []string{workMade}}, &found)
	if err != nil {
		return err
	}
	if len(found.Images) != 1 || len(found.Images[0].Applications) != 1 || found.Images[0].Applications[0].Name != "Research" {
		return fmt.Errorf("image %s does not have its one application: %+v", workMade, found.Images)
	}
	is, app := found.Images[0], found.Images[0].Applications[0]
	text, err := json.Marshal([]any{is.State, is.BaseImageArn, [][]string{{app.Name, app.LaunchPath}}})
	if err != nil {
		return err
	}
	s.tell.answer(text)
	s.tell.good("the image has what was installed, and its application; others can begin with it")
	return nil
}

// inside runs a program in the image builder, as souk exec does.
func (s *story) inside(ctx context.Context, args []string) error {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = a
		if strings.Contains(a, " ") {
			words[i] = "'" + a + "'"
		}
	}
	s.private.member.command("souk exec " + workbench + " -- " + strings.Join(words, " "))
	var said strings.Builder
	err := s.private.member.souk(ctx, &said, append([]string{"exec", workbench, "--"}, args...)...)
	if err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	if said.Len() > 0 {
		s.tell.answer([]byte(said.String()))
	}
	return nil
}

// takeAway exports the image as an AMI, and deletes all that these steps have made.
func (s *story) takeAway(ctx context.Context) error {
	member := s.private.member
	m, err := member.market()
	if err != nil {
		return err
	}
	err = member.appStream(ctx, "create-export-image-task", "--image-name "+workMade+" --ami-name "+workMade+" --iam-role-arn "+s.built.role, "ExportImageTask.State",
		map[string]any{"ImageName": workMade, "AmiName": workMade, "IamRoleArn": s.built.role})
	if err != nil {
		return err
	}
	var ami string
	_, err = s.states(ctx, "the AMI "+workMade, "COMPLETED", calmly, func() (string, error) {
		type task struct{ State, AmiId string }
		var found struct{ ExportImageTasks []task }
		err := m.appStream(ctx, "ListExportImageTasks", struct{}{}, &found)
		return one(found.ExportImageTasks, err, func(t task) string { ami = t.AmiId; return t.State })
	})
	if err != nil {
		return err
	}
	var known struct {
		Images []struct {
			State string `xml:"imageState"`
		} `xml:"imagesSet>item"`
	}
	err = m.ec2(ctx, "DescribeImages", url.Values{"ImageId.1": {ami}}, &known)
	if err != nil {
		return err
	}
	if len(known.Images) != 1 || known.Images[0].State != "available" {
		return fmt.Errorf("the AMI %q is not available: %+v", ami, known)
	}
	s.tell.good("%s: what was built and then mended by hand can be published, or built on", ami)
	err = member.appStream(ctx, "delete-image-builder", "--name "+workbench, "ImageBuilder.State", map[string]any{"Name": workbench})
	if err != nil {
		return err
	}
	_, err = s.states(ctx, "its end", gone, calmly, func() (string, error) { return stateOfBuilder(ctx, m, workbench) })
	if err != nil {
		return err
	}
	for _, name := range []string{workMade, workImage} {
		err = member.appStream(ctx, "delete-image", "--name "+name, "Image.State", map[string]any{"Name": name})
		if err != nil {
			return err
		}
	}
	s.tell.good("the machine and its disk are gone; the AMI stays")
	return nil
}
