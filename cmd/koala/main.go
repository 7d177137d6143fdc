// Command koala recovers Koala's weights, inspects, compares and converts the
// checkpoints that people have, and turns conversations and text into tokens. See
// koala --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// cli is the command line: one field a verb.
type cli struct {
	Inspect    inspectCmd    `cmd:"" help:"Show what a checkpoint holds."`
	Recover    recoverCmd    `cmd:"" help:"Add a diff to its base: the model comes out."`
	Diff       diffCmd       `cmd:"" help:"Subtract a base from a model: the diff comes out."`
	Convert    convertCmd    `cmd:"" help:"Write a checkpoint in another format, layout or type."`
	Verify     verifyCmd     `cmd:"" help:"Compare an output with its manifest, a list of checksums, or its inputs."`
	Prompt     promptCmd     `cmd:"" help:"Write a conversation as Koala was trained on it: text or ids."`
	Parse      parseCmd      `cmd:"" help:"Read such a text back."`
	Tokenizer  tokenizerCmd  `cmd:"" help:"Turn text into LLaMA's tokens and back."`
	Dataset    datasetCmd    `cmd:"" help:"Turn public data sets into training records, tokens and batches."`
	Chat       chatCmd       `cmd:"" help:"Talk to a model on a server."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
	Completion completionCmd `cmd:"" help:"Print a completion script for a shell."`
}

// app is what every verb gets.
type app struct {
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
	parser         *kong.Kong
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// exit carries an exit code out of kong, which wants to end the process.
type exit int

func run(args []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			asked, ok := r.(exit)
			if !ok {
				panic(r)
			}
			code = int(asked)
		}
	}()
	parser, err := kong.New(&cli{},
		kong.Name("koala"),
		kong.Vars{"backends": backendNames()},
		kong.Description("Koala's weights from LLaMA's and the released diff, and its prompts as it was trained on them: one static binary."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exit(code)) }),
		tokenizerVars(),
		formatVars(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		datasetVars(),
	)
	if err != nil {
		panic(err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if err != nil {
		return usage(stderr, args, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = k.Run(&app{ctx, os.Stdin, stdout, stderr, parser})
	return report(stderr, k.Command(), err)
}

// usage reports a command line that cannot be understood.
func usage(stderr io.Writer, args []string, err error) int {
	verb := ""
	var parse *kong.ParseError
	if errors.As(err, &parse) {
		verb = firstWord(parse.Context.Command())
	}
	if verb != "" {
		verb = " " + verb
	}
	fmt.Fprintf(stderr, "koala%s: %s: in the command line: see koala%s --help\n", verb, oneLine(err), verb)
	return exitUsage
}

// report prints an error in one line and gives the exit code.
func report(stderr io.Writer, command string, err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errStopped):
		fmt.Fprintf(stderr, "koala %s: %v\n", firstWord(command), errStopped)
		return exitInterrupted
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(stderr, "koala %s: interrupted: nothing was written\n", firstWord(command))
		return exitInterrupted
	}
	fmt.Fprintf(stderr, "koala %s: %s\n", firstWord(command), oneLine(err))
	return exitFailed
}

// errStopped is of a run that was interrupted and can be resumed.
var errStopped = errors.New("interrupted: what is written stays: run again with --resume to go on")

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}

// oneLine joins the lines of joined errors.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
