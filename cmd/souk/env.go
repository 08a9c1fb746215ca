package main

import (
	"fmt"
	"strings"

	"souk/server"
)

// EnvCommand prints what points the AWS CLI and SDKs of a shell to a server.
type EnvCommand struct {
	Data   string `placeholder:"DIR" help:"Data folder of the server (default ./souk-data)."`
	Config string `placeholder:"FILE" help:"YAML file with the settings of the server."`
}

// noSession ends a role's session in the shell: its token belongs to no other key.
const noSession = "unset AWS_SESSION_TOKEN"

// Run prints export lines for the root user of the management account.
func (e *EnvCommand) Run(app *App) error {
	c, err := server.ReadCredentials(e.Data)
	if err != nil {
		return err
	}
	lines := [][2]string{
		{"AWS_ENDPOINT_URL", c.Endpoint},
		{"AWS_REGION", "us-east-1"},
		{"AWS_DEFAULT_REGION", "us-east-1"},
		{"AWS_ACCESS_KEY_ID", c.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", c.SecretAccessKey},
	}
	if c.CA != "" {
		lines = append(lines, [2]string{"AWS_CA_BUNDLE", c.CA})
	}
	for _, line := range lines {
		_, err := fmt.Fprintf(app.Out, "export %s=%s\n", line[0], shellWord(line[1]))
		if err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(app.Out, noSession)
	return err
}

// shellWord quotes a word for a POSIX shell, where it needs it.
func shellWord(word string) string {
	safe := strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@+") == ""
	if safe && word != "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
