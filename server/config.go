package server

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Place says where a market keeps what must not be lost. The zero value is a
// market in ./souk-data.
type Place struct {
	// Data is the folder of this node: its lock, its control socket, the
	// credentials of the root user, and by default the database, the key and the
	// blobs. It is made at the first start, mode 0700. One process uses it at a
	// time. Default: ./souk-data.
	Data string `name:"data" placeholder:"DIR" help:"Data folder, made at the first start (default ./souk-data)."`

	// Database is sqlite: for a database in the data folder, sqlite:FILE for one
	// elsewhere, or postgres://USER@HOST/NAME for several nodes that share one
	// market. Default: sqlite:.
	Database string `name:"database" placeholder:"URL" help:"sqlite:, sqlite:FILE or postgres://USER:PASSWORD@HOST/NAME (default sqlite: in the data folder)."`

	// KeyFile seals secrets, page tokens, registry tokens and signed addresses.
	// It is made at the first start; its fingerprint is in the database, and
	// another key is refused. Nodes that share a database are given the same
	// file. Who has it and the database has every access key: keep it apart from
	// backups of the database. Default: DATA/key.
	KeyFile string `name:"key-file" placeholder:"FILE" help:"Key that seals secrets (default DATA/key, made at the first start); the same on every node."`

	// Blobs is the folder of image layers, charts and logos. Nodes that share a
	// database share this folder too. Default: DATA/blobs.
	Blobs string `name:"blobs" placeholder:"DIR" help:"Folder of image layers and logos (default DATA/blobs); shared by all nodes."`
}

// Config has every setting of a server. The zero value of each works: a market
// in ./souk-data that listens on 127.0.0.1:8470.
//
// Each setting is a flag of souk serve, an environment variable and a key of
// the YAML file of --config, with one name: --fetch-allow, SOUK_FETCH_ALLOW,
// fetch-allow. Flags win over the environment, that over the file.
type Config struct {
	Place `embed:""`

	// Listen is the address of the one public port: AWS's APIs at /, the registry
	// at /v2/. Port 0 takes a free one. Beyond loopback it needs TLS, or Insecure.
	// Default: 127.0.0.1:8470.
	Listen string `name:"listen" placeholder:"ADDRESS" help:"Address to listen on (default 127.0.0.1:8470)."`

	// PublicURL is how clients reach the server: the only source of its own name
	// in repository and logo addresses. Needed where a proxy stands before it, or
	// where Listen names no host. Default: what is listened on.
	PublicURL string `name:"public-url" placeholder:"URL" help:"How clients reach this server (default: what it listens on)."`

	// TLSCert and TLSKey are PEM files. Both or none. They are read again when
	// they change, at the latest a minute later.
	TLSCert string `name:"tls-cert" placeholder:"FILE" help:"TLS certificate chain (PEM)."`
	TLSKey  string `name:"tls-key" placeholder:"FILE" help:"Private key of the TLS certificate (PEM)."`

	// TLSAuto serves TLS with a certificate of an authority that is made in the
	// data folder at the first start, for localhost and the hosts of PublicURL and
	// Listen. Clients trust DATA/tls-ca.crt, once. The certificate is renewed by
	// itself.
	TLSAuto bool `name:"tls-auto" help:"Serve TLS with a certificate of an authority of its own (DATA/tls-ca.crt, for clients to trust)."`

	// Insecure allows to listen beyond loopback without TLS: behind a proxy that
	// ends TLS, or in a network that is trusted. Signatures still hold, but what
	// is said can be read, and registry passwords with it. The admin port, which
	// never has TLS, needs it beyond loopback, too.
	Insecure bool `name:"insecure" help:"Listen beyond loopback without TLS."`

	// AdminListen is the address of metrics (/metrics), profiles (/debug/pprof/)
	// and health details (/health). It asks for no credentials: keep it inside.
	// "off" closes it. Default: 127.0.0.1:8471 where Listen is the default too,
	// else off, so that a second server on a machine needs no thought.
	AdminListen string `name:"admin-listen" placeholder:"ADDRESS" help:"Address of metrics, profiles and health details, or off (default 127.0.0.1:8471 beside the default --listen, else off)."`

	// AccountID is the management account of the organisation, made at the first
	// start. Later starts refuse another one. Default: 123456789012, or the one
	// that the market has.
	AccountID string `name:"account-id" placeholder:"ID" help:"Management account, made at the first start (default 123456789012)."`

	// Quota is on or off. Off lifts the request rates and the bound of open change
	// sets, for load tests. Default: on.
	Quota string `name:"quota" placeholder:"on|off" help:"Request rates and account limits: on or off (default on)."`

	// FetchAllow lists networks that are fetched from although they are private:
	// 127.0.0.0/8, 10.1.0.0/16. By default an address that a user gives (a
	// logo's) is fetched from public networks only. Machines reach them too, where
	// their egress has the name.
	FetchAllow []netip.Prefix `name:"fetch-allow" placeholder:"CIDR" help:"Private networks from which logos may be fetched, and that machines may reach where a list names the place, such as 10.0.0.0/8."`

	// FetchCA is a PEM file of further authorities that are trusted when fetching.
	FetchCA string `name:"fetch-ca" placeholder:"FILE" help:"Further certificate authorities trusted when fetching (PEM)."`

	// CheckPages asks the pages of SaaS products (fulfillment, launch, endpoint and
	// schema URLs) and refuses those that don't answer with status 200, under the
	// same rules as logos. Off by default: a market on an inner network may not
	// reach what its sellers' buyers reach.
	CheckPages bool `name:"check-pages" help:"Refuse pages of SaaS products that don't answer with status 200 (default: they are not asked)."`

	// ScanPolicy is a YAML file that says which findings of a scan refuse an image
	// and which only warn. Default: secrets, malware, and vulnerabilities that are
	// HIGH or CRITICAL and have a fix refuse.
	ScanPolicy string `name:"scan-policy" placeholder:"FILE" help:"What refuses an image that is scanned, and what only warns (YAML)."`

	// StrictDetails refuses change sets whose Details have members that the change
	// type does not know, as a misspelt name is, with a ValidationException. AWS
	// may add members at any time, so by default they are ignored and logged.
	StrictDetails bool `name:"strict-details" help:"Refuse members of Details that a change type does not know (default: ignore and log them)."`

	// Workers is how many change sets this node works on at a time. Default: 256.
	Workers int `name:"workers" placeholder:"N" help:"Change sets worked on at a time by this node (default 256)."`

	// OpenChangeSets is how many change sets of an account may be in PREPARING or
	// APPLYING (ServiceQuotaExceededException beyond). Default: 250, as AWS has it.
	OpenChangeSets int `name:"open-change-sets" placeholder:"N" help:"Change sets that an account may have under way (default 250)."`

	// MaxLayer bounds one layer of an image, in bytes. Default: 20 GiB.
	MaxLayer int64 `name:"max-layer" placeholder:"BYTES" help:"Largest layer of an image that may be pushed (default 21474836480, 20 GiB)."`

	// History is how long a change set is kept after its end. Default: 60 days.
	History time.Duration `name:"history" placeholder:"DURATION" help:"How long ended change sets are kept (default 1440h, 60 days)."`

	// TrailDelivery is a folder to which records of calls are delivered as files,
	// as CloudTrail has them in a bucket: AWSLogs/ACCOUNT/CloudTrail/REGION/... .
	// Nodes that share a database are given the same folder. Default: none; the
	// records of the last 90 days can be looked up in any case.
	TrailDelivery string `name:"trail-delivery" placeholder:"DIR" help:"Deliver records of calls as gzip files to this folder (default: none)."`

	// TrailInterval and TrailSize are how long, and how many bytes, records of
	// calls wait to be delivered. Default: 5m, and 8388608 (8 MiB).
	TrailInterval time.Duration `name:"trail-interval" placeholder:"DURATION" help:"How long records wait to be delivered (default 5m)."`
	TrailSize     int64         `name:"trail-size" placeholder:"BYTES" help:"Bytes of records that are delivered without waiting (default 8388608, 8 MiB)."`

	// MaxConnections is how many connections the public port has open at once;
	// those beyond are closed. Default: 10000.
	MaxConnections int `name:"max-connections" placeholder:"N" help:"Connections that may be open on the public port (default 10000)."`

	// Drain is how long requests and change sets under way may take after SIGTERM.
	// What is not done by then is taken up at the next start. Default: 10s.
	Drain time.Duration `name:"drain" placeholder:"DURATION" help:"How long requests under way may take after SIGTERM (default 10s)."`

	// Scenarios is a file of rules by which change sets and calls are held,
	// refused or disturbed, for tests of pipelines. Refused where others reach the
	// server, unless ScenariosForce is given. Default: none.
	Scenarios      string `name:"scenarios" placeholder:"FILE" help:"Scenario (YAML) by which change sets are held, refused or disturbed, for tests."`
	ScenariosForce bool   `name:"scenarios-force" help:"Apply --scenarios also where others reach the server."`

	Building      `embed:""`
	ImageBuilding `embed:""`
	ImageKeeping  `embed:""`
	Entering      `embed:""`
	Compute       `embed:""`

	// ChartCommand is a program that renders one Helm chart in a process of its
	// own (chart.Main), as souk does. Default: this process renders them, which is
	// for tests: a chart's templates are a program that a stranger wrote.
	ChartCommand []string `kong:"-"`

	// Log takes the server's log. Default: nothing is logged.
	Log *slog.Logger `kong:"-"`
}

// Defaults of settings that others name too.
const (
	defaultData   = "souk-data"
	defaultListen = "127.0.0.1:8470"
	defaultAdmin  = "127.0.0.1:8471"
)

// filled returns the place with its defaults.
func (p Place) filled() Place {
	p.Data = cmp.Or(p.Data, defaultData)
	p.Database = cmp.Or(p.Database, "sqlite:")
	p.KeyFile = cmp.Or(p.KeyFile, filepath.Join(p.Data, "key"))
	p.Blobs = cmp.Or(p.Blobs, filepath.Join(p.Data, "blobs"))
	return p
}

// filled returns the settings with their defaults, or what is wrong with them.
func (c Config) filled() (Config, error) {
	c.Place = c.Place.filled()
	if c.AdminListen == "" {
		c.AdminListen = "off"
		if c.Listen == "" || c.Listen == defaultListen {
			c.AdminListen = defaultAdmin
		}
	}
	c.Listen = cmp.Or(c.Listen, defaultListen)
	c.Quota = cmp.Or(c.Quota, "on")
	c.Workers = cmp.Or(c.Workers, 256)
	c.OpenChangeSets = cmp.Or(c.OpenChangeSets, 250)
	c.MaxConnections = cmp.Or(c.MaxConnections, 10_000)
	c.History = cmp.Or(c.History, 60*24*time.Hour)
	c.Building = c.Building.filled()
	c.ImageBuilding = c.ImageBuilding.filled()
	c.ImageKeeping = c.ImageKeeping.filled()
	c.Entering = c.Entering.filled()
	c.Compute = c.Compute.filled()
	c.Drain = cmp.Or(c.Drain, 10*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, c.wrong()
}

// SettingError is a setting that can't be used. Its text says what to do.
type SettingError struct {
	Setting string // the flag's name without dashes
	Text    string
}

func (e *SettingError) Error() string { return "--" + e.Setting + ": " + e.Text }

// wrong says which setting can't be used, nil if all can.
func (c Config) wrong() error {
	refuse := func(setting, format string, args ...any) error {
		return &SettingError{Setting: setting, Text: fmt.Sprintf(format, args...)}
	}
	if !sqliteAt(c.Database) && !postgresAt(c.Database) {
		// It is not repeated: it may hold a password.
		return refuse("database", "it is neither sqlite:, sqlite:FILE nor postgres://USER:PASSWORD@HOST/NAME")
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return refuse("listen", "%q is no HOST:PORT", c.Listen)
	}
	_, err = net.LookupPort("tcp", port)
	if err != nil {
		return refuse("listen", "%q has no port: it is a number from 0 to 65535", c.Listen)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return refuse("tls-cert", "it and --tls-key are given together or not at all")
	}
	if c.TLSAuto && c.TLSCert != "" {
		return refuse("tls-auto", "it and --tls-cert exclude each other")
	}
	if c.TLSCert == "" && !c.TLSAuto && !c.Insecure && !loopback(host) {
		return refuse("listen", "%s is reachable by others and nothing would be encrypted: give --tls-cert and --tls-key, or --tls-auto, or --insecure if a proxy before it ends TLS", c.Listen)
	}
	if c.AdminListen != "off" {
		host, port, err := net.SplitHostPort(c.AdminListen)
		if err != nil {
			return refuse("admin-listen", "%q is neither HOST:PORT nor off", c.AdminListen)
		}
		_, err = net.LookupPort("tcp", port)
		if err != nil {
			return refuse("admin-listen", "%q has no port: it is a number from 0 to 65535", c.AdminListen)
		}
		if !c.Insecure && !loopback(host) {
			return refuse("admin-listen", "%s is reachable by others, and the admin port asks for no credentials and has no TLS: give --insecure if that network is trusted", c.AdminListen)
		}
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return refuse("public-url", "%q is not of the form https://HOST[:PORT]", c.PublicURL)
		}
	}
	if c.AccountID != "" && (len(c.AccountID) != 12 || strings.Trim(c.AccountID, "0123456789") != "") {
		return refuse("account-id", "%q is not an account id of 12 digits", c.AccountID)
	}
	if c.Quota != "on" && c.Quota != "off" {
		return refuse("quota", "%q is neither on nor off", c.Quota)
	}
	if setting, text := c.ImageBuilding.wrong(); text != "" {
		return refuse(setting, "%s", text)
	}
	if text := c.Compute.wrong(); text != "" {
		return refuse("compute", "%s", text)
	}
	for _, number := range slices.Concat(c.Building.numbers(), c.ImageBuilding.numbers(), c.ImageKeeping.numbers(), c.Entering.numbers(), c.Compute.numbers(), []number{
		{"workers", c.Workers, c.Workers < 1 || c.Workers > 1000, "from 1 to 1000"},
		{"open-change-sets", c.OpenChangeSets, c.OpenChangeSets < 1, "1 or more"},
		{"max-connections", c.MaxConnections, c.MaxConnections < 1, "1 or more"},
		{"max-layer", c.MaxLayer, c.MaxLayer < 0, "1 or more bytes"},
		{"history", c.History, c.History < 0, "more than 0s"},
		{"trail-interval", c.TrailInterval, c.TrailInterval < 0, "more than 0s"},
		{"trail-size", c.TrailSize, c.TrailSize < 0, "1 or more bytes"},
		{"drain", c.Drain, c.Drain < 0, "more than 0s"},
	}) {
		if number.wrong {
			return refuse(number.setting, "%v is out of range: it is %s", number.value, number.allowed)
		}
	}
	return nil
}

// number is a setting that has a range.
type number struct {
	setting string
	value   any
	wrong   bool
	allowed string
}

// loopback says whether only this machine reaches a host name that is listened on.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
