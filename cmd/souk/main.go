// Command souk is a software marketplace that you run yourself and that speaks
// AWS Marketplace's own APIs.
//
// Each subcommand has its file; this one reads the command line and knows
// nothing else. `souk help` says what there is.
//
// Exit status: 0 when the command did what it was asked, 1 when it could not
// (or, for doctor and conformance, when it found something wrong), 2 when the
// command line or a setting is wrong. connect and exec end as the program does
// that they run, and with 125 where they could not run it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"reflect"
	"syscall"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"souk/artifact/chart"
	"souk/server"
)

// App is what a subcommand may use of the process that it runs in.
type App struct {
	Out, Err io.Writer
	In       io.Reader
	// Ctx ends at the first SIGINT or SIGTERM. The second one ends the process.
	Ctx context.Context
	// Terminal says that Out is a terminal: colour and progress may be shown.
	Terminal bool
}

// commands is the command line: a field for each subcommand.
type commands struct {
	Serve       ServeCommand       `cmd:"" help:"Run the server."`
	Demo        DemoCommand        `cmd:"" help:"Show a market at work: a real publication, step by step, on a temporary folder."`
	Env         EnvCommand         `cmd:"" help:"Print the export lines that point the AWS CLI and SDKs of a shell to a server of this machine."`
	Doctor      DoctorCommand      `cmd:"" help:"Check every invariant of a market and say what is wrong."`
	Gc          GcCommand          `cmd:"" help:"Sweep image layers that nothing has referred to for a day."`
	Account     AccountCommand     `cmd:"" help:"Accounts of the organisation: create, list, show."`
	User        UserCommand        `cmd:"" help:"Users of an account: create, list, delete."`
	Key         KeyCommand         `cmd:"" help:"Access keys: create, list, deactivate, activate, delete."`
	Keyring     KeyringCommand     `cmd:"" help:"Keys that seal the market's secrets: list, add, use, drop."`
	Policy      PolicyCommand      `cmd:"" help:"Policies of users: put, list, show, delete, and check a document."`
	Advisories  AdvisoriesCommand  `cmd:"" help:"Security advisories that scans compare packages with: import, list, remove."`
	Assessment  AssessmentCommand  `cmd:"" help:"What scans came to: list, show."`
	Quota       QuotaCommand       `cmd:"" help:"Request rates and limits: list, set, reset."`
	Scenario    ScenarioCommand    `cmd:"" help:"What happens next, for tests of pipelines: apply, show, release, off."`
	Topic       TopicCommand       `cmd:"" help:"Messages of topics that could not be delivered: dead-letters, redrive."`
	Image       ImageCommand       `cmd:"" help:"Machine images: import, list, show, export, share, rm."`
	Build       BuildCommand       `cmd:"" help:"Builds of machine images with listed products: start, follow, list."`
	Connect     ConnectCommand     `cmd:"" help:"Open a terminal in an image builder."`
	Exec        ExecCommand        `cmd:"" help:"Run a program in an image builder: exec NAME -- COMMAND."`
	Cp          CpCommand          `cmd:"" help:"Copy files into an image builder and out of it: cp FILE NAME:PATH."`
	Model       ModelCommand       `cmd:"" help:"Print the description of a service that the AWS CLI does not know."`
	Conformance ConformanceCommand `cmd:"" help:"Look at an endpoint from outside: does it do what AWS documents?"`
	Version     VersionCommand     `cmd:"" help:"Print the version."`
	Help        HelpCommand        `cmd:"" help:"What Souk is, the commands to start with, and where to go on."`
}

// Exit statuses, as the package comment documents them.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	server.Child() // so is the first process of a machine
	chart.Child()  // a chart's renderer is this program, started for that alone
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore) // a second signal ends the process at once
	_, err := unix.IoctlGetTermios(int(os.Stdout.Fd()), unix.TCGETS)
	app := &App{
		Out: os.Stdout, Err: os.Stderr, In: os.Stdin, Ctx: ctx,
		Terminal: err == nil && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
	}
	os.Exit(run(app, os.Args[1:]))
}

// run runs one command line and returns the exit status.
func run(app *App, args []string) int {
	if len(args) == 0 {
		args = []string{"help"}
	}
	var (
		commands commands
		file     configFile
		printed  = -1 // the status with which kong ended: --help was printed
	)
	parser, err := kong.New(&commands,
		kong.Name("souk"),
		kong.Description("A software marketplace that you run yourself and that speaks AWS Marketplace's own APIs."),
		kong.Writers(app.Out, app.Err),
		kong.Exit(func(status int) { printed = status }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.DefaultEnvars("SOUK"),
		kong.Resolvers(&file),
		kong.TypeMapper(reflect.TypeFor[netip.Prefix](), kong.MapperFunc(decodeNetwork)),
		kong.Bind(app),
	)
	if err != nil {
		panic("cmd/souk: the command line is declared wrongly: " + err.Error())
	}
	line, err := parser.Parse(args)
	if printed >= 0 {
		return printed
	}
	if file.err != nil {
		fmt.Fprintf(app.Err, "souk: %v\n", file.err)
		return exitUsage
	}
	if err != nil {
		var wrong *kong.ParseError
		where := "souk help"
		if errors.As(err, &wrong) && wrong.Context != nil && wrong.Context.Command() != "" {
			where = wrong.Context.Selected().FullPath() + " --help"
		}
		fmt.Fprintf(app.Err, "souk: %s\nTry `%s`.\n", file.blame(err), where)
		if args[0] == "exec" {
			return exitRefused // 2 is what many programs end with
		}
		return exitUsage
	}
	err = line.Run(app)
	if err == nil {
		return exitDone
	}
	var usage *UsageError
	var ended *statusError
	if errors.As(err, &ended) {
		if ended.err != nil {
			fmt.Fprintf(app.Err, "souk: %v\n", ended.err)
		}
		return ended.status
	}
	if errors.As(err, &usage) {
		fmt.Fprintf(app.Err, "souk: %s\n", file.blame(err))
		return exitUsage
	}
	if !errors.Is(err, errFindings) {
		fmt.Fprintf(app.Err, "souk: %v\n", err)
	}
	return exitFailed
}

// errFindings ends a command with status 1 without another word: what is to be
// said was printed.
var errFindings = errors.New("something was found")

// UsageError is a mistake in the command line or a setting; its text says what
// to do instead. The process ends with status 2.
type UsageError struct{ Text string }

func (e *UsageError) Error() string { return e.Text }

// usagef makes a UsageError.
func usagef(format string, args ...any) error {
	return &UsageError{Text: fmt.Sprintf(format, args...)}
}
