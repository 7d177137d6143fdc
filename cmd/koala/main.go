// Command koala recovers the weights of Koala from those of LLaMA and the
// released diff. It also inspects, compares and converts checkpoints, renders
// and parses prompts, encodes text into tokens, prepares training data, and
// chats with a model. Run koala --help for its commands.
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

// cli is the command line. Each field is a command.
type cli struct {
	Inspect    inspectCmd    `cmd:"" help:"Show the contents of checkpoints."`
	Recover    recoverCmd    `cmd:"" help:"Recover a model: add a diff to its base checkpoint."`
	Diff       diffCmd       `cmd:"" help:"Make a diff: subtract a base checkpoint from a model."`
	Convert    convertCmd    `cmd:"" help:"Convert a checkpoint to another format or data type."`
	Verify     verifyCmd     `cmd:"" help:"Check a checkpoint against its manifest, checksums, its inputs, or logits."`
	Prompt     promptCmd     `cmd:"" help:"Render a conversation as a prompt: text or token ids."`
	Parse      parseCmd      `cmd:"" help:"Parse a prompt back into a conversation."`
	Tokenizer  tokenizerCmd  `cmd:"" help:"Encode text into tokens and decode tokens into text."`
	Dataset    datasetCmd    `cmd:"" help:"Convert public data sets to training records, tokens and batches."`
	Chat       chatCmd       `cmd:"" help:"Chat with a model."`
	Eval       evalCmd       `cmd:"" help:"Evaluate predictions and the judgments of raters."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
	Completion completionCmd `cmd:"" help:"Print a completion script for a shell."`
}

// app is the environment that each command runs in.
type app struct {
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
	parser         *kong.Kong
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// exit is the value of the panic that leaves kong's parser, which would
// otherwise end the process.
type exit int

// run executes a command line and returns the exit code.
func run(args []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			requested, ok := r.(exit)
			if !ok {
				panic(r)
			}
			code = int(requested)
		}
	}()
	parser, err := kong.New(&cli{},
		kong.Name("koala"),
		kong.Description("Recover Koala's weights from LLaMA's and the released diff, and build the prompts that Koala was trained on."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		vars(),
	)
	if err != nil {
		panic(err) // a mistake in the struct tags, which every test would find
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if err != nil {
		return reportUsage(stderr, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = k.Run(&app{ctx, os.Stdin, stdout, stderr, parser})
	return report(stderr, k.Command(), err)
}

// reportUsage prints why a command line cannot be parsed and returns the exit
// code.
func reportUsage(stderr io.Writer, err error) int {
	command := ""
	var parse *kong.ParseError
	if errors.As(err, &parse) {
		command = firstWord(parse.Context.Command())
	}
	if command != "" {
		command = " " + command
	}
	fmt.Fprintf(stderr, "koala%s: %s: in the command line: see koala%s --help\n", command, oneLine(err), command)
	return exitUsage
}

// report prints an error in one line and returns the exit code.
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

// errStopped reports an interrupted run that --resume can continue.
var errStopped = errors.New("interrupted: the partial output is kept: run again with --resume to continue")

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}

// oneLine returns the text of an error in one line. Errors that were joined
// have one line each.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
