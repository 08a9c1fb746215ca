package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Credentials are what a client of this machine needs to speak to a server as
// the root user of the management account.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	Endpoint        string // the server's URL as of its last start
	// CA is the absolute path of the certificate (PEM) of the authority that
	// clients must trust; "" if the server has none of its own.
	CA string
}

// files of a data folder that souk env reads
const (
	credentialsFile = "credentials" // AWS shared-credentials form, 0600
	endpointFile    = "endpoint"    // the URL, written at every start
)

// ReadCredentials reads the credentials of a data folder.
func ReadCredentials(dir string) (Credentials, error) {
	if dir == "" {
		dir = defaultData
	}
	var c Credentials
	b, err := os.ReadFile(filepath.Join(dir, credentialsFile))
	if errors.Is(err, os.ErrNotExist) && ofPostgres(dir) {
		return c, fmt.Errorf("there are no credentials in %s, the folder of a node of a market on PostgreSQL: give the --data of the node that made the market, or use a key of `souk key create`", dir)
	}
	if errors.Is(err, os.ErrNotExist) {
		return c, fmt.Errorf("there are no credentials in %s: start `souk serve --data %s` once, or give the --data of the server that made the market", dir, dir)
	}
	if err != nil {
		return c, fmt.Errorf("reading credentials: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		switch strings.TrimSpace(name) {
		case "aws_access_key_id":
			c.AccessKeyID = strings.TrimSpace(value)
		case "aws_secret_access_key":
			c.SecretAccessKey = strings.TrimSpace(value)
		}
	}
	if c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return c, fmt.Errorf("%s holds no access key", filepath.Join(dir, credentialsFile))
	}
	c.Endpoint = "http://" + defaultListen
	b, err = os.ReadFile(filepath.Join(dir, endpointFile))
	if err == nil {
		c.Endpoint = strings.TrimSpace(string(b))
	} else if !errors.Is(err, os.ErrNotExist) {
		return c, fmt.Errorf("reading endpoint: %w", err)
	}
	ca, err := filepath.Abs(filepath.Join(dir, caFile))
	if err == nil {
		_, err = os.Stat(ca)
	}
	if err == nil {
		c.CA = ca
	} else if !errors.Is(err, os.ErrNotExist) {
		return c, fmt.Errorf("looking for a certificate authority: %w", err)
	}
	return c, nil
}
