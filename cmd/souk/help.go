package main

import (
	"io"
	"slices"
	"strings"
)

// HelpCommand teaches: what Souk is, what to type first, and where to go on.
type HelpCommand struct {
	Command string `arg:"" optional:"" help:"A command to explain; builder is a tour of image builders."`
}

// Run prints the lesson, the tour of image builders, or the help of one command.
func (h *HelpCommand) Run(app *App) error {
	if slices.Contains([]string{"builder", "builders", "image-builder", "appstream"}, h.Command) {
		_, err := io.WriteString(app.Out, strings.TrimLeft(builderTour, "\n"))
		return err
	}
	if h.Command != "" {
		if run(app, []string{h.Command, "--help"}) != exitDone {
			return errFindings
		}
		return nil
	}
	_, err := io.WriteString(app.Out, strings.TrimLeft(lesson, "\n"))
	return err
}

const lesson = `
Souk is a software marketplace that you run yourself. It speaks AWS Marketplace's
own APIs: what publishes to AWS publishes to Souk, with the AWS CLI and SDKs as
they are, and the images lie in a registry of its own.

Start with one of these:

  souk demo                 see products and a private marketplace come about, on a temporary folder
  souk serve                run a market; its data lies in ./souk-data
  eval "$(souk env)"        point the AWS CLI and SDKs of this shell to it, then:
                            aws marketplace-catalog list-entities --catalog AWSMarketplace \
                              --entity-type ContainerProduct \
                              --endpoint-url "$AWS_ENDPOINT_URL" --region us-east-1

Who may do what (before these, run souk serve once):

  souk account create --name Acme --namespace acme     a seller
  souk key create --account ID                         its first access key
  docker login 127.0.0.1:8470                          with that key's id and secret
  souk quota set --account ID NAME VALUE               its rates and limits

Users, roles, units, private marketplaces, records of calls and topics are kept with
AWS's own commands, such as:

  aws organizations create-account                     another account
  aws iam create-user                                  and its groups, roles, policies
  aws sts assume-role                                  into it, without a key of its own
  aws marketplace-catalog start-change-set             CreateExperience decides what accounts obtain
  aws cloudtrail lookup-events                         who has done what
  aws sns create-topic                                 hear of the end of change sets

What it sells:

  souk image import rootfs.tar --name web              a machine image (AMI)
  docker push 127.0.0.1:8470/acme/query:1.0            a container image

  souk build start --option fo-ID --source ami-ID --name web --follow
                                                       install a listed product on an AMI: a new AMI
  souk model imagebuild                                aws configure add-model: the same with the AWS CLI

Make an image by hand, in an image builder of AppStream (souk help builder: a tour):

  souk connect NAME                                    a terminal in it
  souk exec NAME -- apt-get install --yes nginx        a program in it, as in scripts
  souk cp FILE NAME:/tmp/                              files into it, and out of it

What it looks for, and what happens next:

  souk advisories import all.zip                       vulnerable packages, in OSV form
  souk scenario apply FILE                             make a change set fail, wait or hang

Look after it:

  souk doctor               check every invariant of the store
  souk topic dead-letters   messages that could not be delivered
  souk keyring list         the keys under which secrets are kept; add, use, drop
  souk gc                   sweep blobs that nothing refers to
  souk COMMAND --help       all that a command can do

Every setting is a flag (--fetch-allow), an environment variable
(SOUK_FETCH_ALLOW) and a key of a YAML file (fetch-allow: in the file of --config);
flags win over the environment, the environment over the file.

Exit status: 0 done, 1 failed or something found, 2 wrong command line or setting.

To go on: README.md, docs/operating.md (running it), docs/divergences.md (where it
differs from AWS), docs/security.md, docs/design.md (how it is built).
`

// builderTour is for who looks for souk builder: there is none, since AWS's own
// commands make image builders.
const builderTour = `
An image builder is a machine that is kept: it begins with an image, people and
scripts work in it, and it becomes an image again. The AWS CLI makes it (aws is the
function of README.md, or takes --endpoint-url and --region), souk goes inside.

 1. An image to begin with, from any root file system. It is for all accounts, or
    private; --appstream also makes the role souk-appstream, by which AMIs are read.

      souk image import debian.tar --name base --arch x86_64 --appstream public

 2. The image builder. It is RUNNING in a moment; describe says why, where it is not.

      aws appstream create-image-builder --name web --image-name base \
        --instance-type stream.standard.medium --enable-default-internet-access
      aws appstream describe-image-builders --names web

 3. The work, by a person or by a script.

      souk connect web
      souk exec web -- sh -c 'apt-get update && apt-get install --yes nginx'
      souk cp site web:/srv/

 4. What users of the image start, and the image. The image builder is STOPPED by
    it; the same commands work in its terminal.

      souk exec web -- image-assistant add-application --name nginx \
        --absolute-app-path /usr/sbin/nginx
      souk exec web -- image-assistant create-image --name web-1
      aws appstream describe-images --names web-1

 5. Image builders begin with it, other accounts are let use it, or it becomes an
    AMI, to build on and to publish.

      aws appstream update-image-permissions --name web-1 --shared-account-id ID \
        --image-permissions allowFleet=false,allowImageBuilder=true
      aws appstream create-export-image-task --image-name web-1 --ami-name web-1 \
        --iam-role-arn arn:aws:iam::ACCOUNT:role/souk-appstream
      aws appstream list-export-image-tasks

 6. The end. Its disk survives a stop, and goes with it when it is deleted.

      aws appstream stop-image-builder --name web
      aws appstream start-image-builder --name web
      aws appstream delete-image-builder --name web

More: souk exec --help, image-assistant help in the machine, docs/operating.md.
`
