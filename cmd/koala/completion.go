package main

import (
	"fmt"
	"io"
	"strings"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell: ${enum}."`
}

// Help returns the text below the usage line.
func (c *completionCmd) Help() string {
	return `Prints a script that completes commands, flags and file names.

Example:
  koala completion bash > /etc/bash_completion.d/koala`
}

// completedCommand is a command as the scripts offer it.
type completedCommand struct {
	name, help string
	flags      []string // each begins with two dashes
}

// Run executes the command.
func (c *completionCmd) Run(a *app) error {
	var commands []completedCommand
	for _, node := range a.parser.Model.Children {
		command := completedCommand{name: node.Name, help: node.Help}
		for _, f := range node.Flags {
			command.flags = append(command.flags, "--"+f.Name)
		}
		commands = append(commands, command)
	}
	switch c.Shell {
	case "fish":
		fishCompletion(a.stdout, commands)
	case "zsh":
		fmt.Fprintln(a.stdout, "#compdef koala\nautoload -U +X bashcompinit && bashcompinit")
		bashCompletion(a.stdout, commands)
	default:
		bashCompletion(a.stdout, commands)
	}
	return nil
}

// bashCompletion writes a script for bash, which zsh can run too.
func bashCompletion(w io.Writer, commands []completedCommand) {
	var names []string
	var cases strings.Builder
	for _, command := range commands {
		names = append(names, command.name)
		fmt.Fprintf(&cases, "    %s) words=\"%s --help\" ;;\n", command.name, strings.Join(command.flags, " "))
	}
	fmt.Fprintf(w, `_koala() {
  local cur="${COMP_WORDS[COMP_CWORD]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "%s --help" -- "$cur"))
    return
  fi
  case "${COMP_WORDS[1]}" in
%s  esac
  case "$cur" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
    *) COMPREPLY=($(compgen -f -- "$cur")) ;;
  esac
}
complete -o filenames -F _koala koala
`, strings.Join(names, " "), cases.String())
}

// fishCompletion writes a script for fish.
func fishCompletion(w io.Writer, commands []completedCommand) {
	for _, command := range commands {
		fmt.Fprintf(w, "complete -c koala -n __fish_use_subcommand -f -a %s -d '%s'\n", command.name, strings.ReplaceAll(command.help, "'", `\'`))
		for _, f := range command.flags {
			fmt.Fprintf(w, "complete -c koala -n '__fish_seen_subcommand_from %s' -l %s\n", command.name, strings.TrimPrefix(f, "--"))
		}
	}
}
