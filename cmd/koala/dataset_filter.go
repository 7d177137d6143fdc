package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/koala-go/sdk/dataset"
)

type datasetFilterCmd struct {
	Out    string `required:"" placeholder:"FILE" help:"Output file; - for standard output."`
	NoCode bool   `help:"Leave out records with a fenced code block in any text."`
	Keep   string `placeholder:"PROGRAM" help:"Program, with arguments, that reads the query of each record as a line with a JSON string, and answers each line at once with true to keep the record, or with false."`
	datasetFlags
	unitFlags
}

func (c *datasetFilterCmd) Help() string {
	return `The program koala-lang in the module github.com/koala-go/sdk/dataset/lang filters by language.

Example:
  koala dataset filter --in records.jsonl --out english.jsonl --keep 'koala-lang -languages en'`
}

func (c *datasetFilterCmd) Run(a *app) error {
	if !c.NoCode && c.Keep == "" {
		return errors.New("there is nothing to filter by: in the command line: give --no-code or --keep")
	}
	s, err := c.begin(a)
	if err != nil {
		return err
	}
	settings := []any{"filter", c.NoCode, c.Keep, c.SkipBad}
	return s.end(s.each(&c.unitFlags, c.Out, ".jsonl", settings, func(t task) error { return c.filter(s, t) }))
}

func (c *datasetFilterCmd) filter(s *step, t task) (err error) {
	records := s.readTask(t)
	if c.NoCode {
		records = dataset.Filter(records, "code", func(r *dataset.Record) bool { return !hasCode(r) }, s.report)
	}
	if c.Keep == "" {
		return s.writeRecords(t.out, records)
	}
	p, err := startFilterProgram(s.a, c.Keep)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	kept := dataset.Filter(records, "refused by the program", dataset.QueryFilter(p.keep), s.report)
	return s.writeRecords(t.out, func(yield func(dataset.Record, error) bool) {
		for r, err := range kept {
			if err == nil {
				err = p.err
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
		if p.err != nil {
			yield(dataset.Record{}, p.err)
		}
	})
}

// hasCode reports whether any text of a record has a code block.
func hasCode(r *dataset.Record) bool {
	for i := range r.Fields {
		if f := &r.Fields[i]; !f.JSON && dataset.HasCode(f.Text) {
			return true
		}
	}
	return false
}

// filterProgram is a running program that decides on one query at a time.
type filterProgram struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err error // first error; after it the program is not asked any more
}

func startFilterProgram(a *app, command string) (*filterProgram, error) {
	words := strings.Fields(command)
	if len(words) == 0 {
		return nil, errors.New("the command is empty: --keep: give a program")
	}
	p := &filterProgram{cmd: exec.CommandContext(a.ctx, words[0], words[1:]...)}
	p.cmd.Stderr = a.stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: --keep: give an existing program", err)
	}
	return p, nil
}

// keep reports whether the program keeps a query.
func (p *filterProgram) keep(query string) bool {
	if p.err != nil {
		return true // the error ends the run
	}
	line, err := json.Marshal(query)
	if err == nil {
		_, err = p.in.Write(append(line, '\n'))
	}
	var answer string
	if err == nil {
		answer, err = p.out.ReadString('\n')
	}
	switch answer = strings.TrimSpace(answer); {
	case err != nil:
		p.err = fmt.Errorf("the program gave no answer: %w: %s: find out why it ended", err, p.cmd)
	case answer != "true" && answer != "false":
		p.err = fmt.Errorf("the program answered %.40q: %s: answer true or false", answer, p.cmd)
	}
	return p.err != nil || answer == "true"
}

// close ends the program.
func (p *filterProgram) close() error {
	err := p.in.Close()
	if p.err != nil {
		_ = p.cmd.Process.Kill() // the program may wait for more input, or have ended
		_ = p.cmd.Wait()         // p.err says more
		return nil
	}
	return errors.Join(err, p.cmd.Wait())
}
