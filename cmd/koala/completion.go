package main

import (
	"fmt"
	"io"
	"strings"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"${enum}."`
}

func (c *completionCmd) Help() string {
	return `Example:
  koala completion bash > /etc/bash_completion.d/koala`
}

// verb is what completion offers of one verb.
type verb struct {
	name, help string
	flags      []string // with their dashes
}

func (c *completionCmd) Run(a *app) error {
	var verbs []verb
	for _, node := range a.parser.Model.Children {
		v := verb{name: node.Name, help: node.Help}
		for _, f := range node.Flags {
			v.flags = append(v.flags, "--"+f.Name)
		}
		verbs = append(verbs, v)
	}
	switch c.Shell {
	case "fish":
		fishCompletion(a.stdout, verbs)
	case "zsh":
		fmt.Fprintln(a.stdout, "#compdef koala\nautoload -U +X bashcompinit && bashcompinit")
		bashCompletion(a.stdout, verbs)
	default:
		bashCompletion(a.stdout, verbs)
	}
	return nil
}

func bashCompletion(w io.Writer, verbs []verb) {
	var names []string
	var cases strings.Builder
	for _, v := range verbs {
		names = append(names, v.name)
		fmt.Fprintf(&cases, "    %s) words=\"%s --help\" ;;\n", v.name, strings.Join(v.flags, " "))
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

func fishCompletion(w io.Writer, verbs []verb) {
	for _, v := range verbs {
		fmt.Fprintf(w, "complete -c koala -n __fish_use_subcommand -f -a %s -d '%s'\n", v.name, strings.ReplaceAll(v.help, "'", `\'`))
		for _, f := range v.flags {
			fmt.Fprintf(w, "complete -c koala -n '__fish_seen_subcommand_from %s' -l %s\n", v.name, strings.TrimPrefix(f, "--"))
		}
	}
}
