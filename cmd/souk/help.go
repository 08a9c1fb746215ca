package main

import (
	"io"
	"strings"
)

// HelpCommand teaches: what Souk is, what to type first, and where to go on.
type HelpCommand struct {
	Command string `arg:"" optional:"" help:"A command to explain."`
}

// Run prints the lesson, or the help of one command.
func (h *HelpCommand) Run(app *App) error {
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

Make an image by hand, in an image builder of AppStream that is RUNNING:

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
