package conformance

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"souk/conformance/souktest"
)

// away takes a database from everybody who uses it, until back is called.
func away(t *testing.T, database string) (back func()) {
	t.Helper()
	u, err := url.Parse(database)
	must(t, err)
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	run := func(statements ...string) {
		t.Helper()
		ctx := context.Background() // also when the test has ended
		c, err := pgx.Connect(ctx, u.String())
		must(t, err)
		defer c.Close(ctx)
		for _, s := range statements {
			_, err = c.Exec(ctx, s)
			must(t, err)
		}
	}
	run("ALTER DATABASE "+name+" WITH ALLOW_CONNECTIONS false",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+name+"'")
	return func() { run("ALTER DATABASE " + name + " WITH ALLOW_CONNECTIONS true") }
}

// TestBuildsWhileTheDatabaseIsAway: a server whose database is gone answers with
// the exception that the model has for failures of the service; and what it was
// building goes on when the database is back, and makes one image.
func TestBuildsWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	o := souktest.Options{Database: freshPostgres(t), Flags: g.flags()}
	server := souktest.Start(t, o)
	account := server.Account(t, "image builds", "tools")
	s := account.Seller(server)
	aws := newBuilder(t, server, s)
	base := imported(t, s, "base", "--public")
	options := listInstallers(t, s, map[string]string{"tool": g.passing()})
	g.close()
	id := startBuild(t, s, options["tool"], base, "patient")
	g.wait(t)
	back := away(t, o.Database)
	aws.refused("InternalServerErrorException", "", start(options["tool"], base, "other")...)
	aws.refused("InternalServerErrorException", "", "marketplaceimagebuild", "describe-builds")
	back()
	g.open()
	if b := buildEnded(t, s, id); b.Status != "Succeeded" {
		t.Errorf("it ended as %+v, %+v", b, b.ErrorDetail)
	}
	if n := imagesNamed(t, s, "patient"); n != 1 {
		t.Errorf("it has made %d images", n)
	}
	if again := startBuild(t, s, options["tool"], base, "other"); buildEnded(t, s, again).Status != "Succeeded" {
		t.Errorf("what was refused can't be built: %+v", showBuild(t, s, again))
	}
	must(t, server.Stop())
	if out, err := server.Command("doctor"); err != nil {
		t.Errorf("souk doctor: %v\n%s", err, out)
	}
}
