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
	Out    string `required:"" placeholder:"FILE" help:"Where to write; - for standard output."`
	NoCode bool   `help:"Leave out records with a fenced block of code in any text."`
	Keep   string `placeholder:"PROGRAM" help:"Program, with arguments, that is given what the person says as a JSON string a line, and answers each line at once with true to keep the record or false."`
	datasetFlags
	unitFlags
}

func (c *datasetFilterCmd) Help() string {
	return `The program koala-lang in the module github.com/koala-go/sdk/dataset/lang tells languages.

Example:
  koala dataset filter --in records.jsonl --out english.jsonl --keep 'koala-lang -languages en'`
}

func (c *datasetFilterCmd) Run(a *app) error {
	if !c.NoCode && c.Keep == "" {
		return errors.New("nothing to filter by: in the command line: give --no-code or --keep")
	}
	s, err := c.begin(a)
	if err != nil {
		return err
	}
	return s.end(s.each(&c.unitFlags, c.Out, ".jsonl", []any{"filter", c.NoCode, c.Keep, c.SkipBad}, func(p place) error { return c.filter(s, p) }))
}

func (c *datasetFilterCmd) filter(s *step, p place) (err error) {
	records := s.at(p)
	if c.NoCode {
		records = dataset.Filter(records, "code", func(r *dataset.Record) bool { return !hasCode(r) }, s.report)
	}
	if c.Keep == "" {
		return s.write(p.out, records)
	}
	j, err := startJudge(s.a, c.Keep)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	kept := dataset.Filter(records, "refused by the program", dataset.QueryFilter(j.keep), s.report)
	return s.write(p.out, func(yield func(dataset.Record, error) bool) {
		for r, err := range kept {
			if err == nil {
				err = j.err
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
		if j.err != nil {
			yield(dataset.Record{}, j.err)
		}
	})
}

// hasCode looks at all texts of a record.
func hasCode(r *dataset.Record) bool {
	for i := range r.Fields {
		if f := &r.Fields[i]; !f.JSON && dataset.HasCode(f.Text) {
			return true
		}
	}
	return false
}

// judge is a program that judges texts, one after the other.
type judge struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err error // the first thing that went wrong; from then on nothing is asked
}

func startJudge(a *app, command string) (*judge, error) {
	words := strings.Fields(command)
	if len(words) == 0 {
		return nil, errors.New("an empty command: --keep: give a program")
	}
	j := &judge{cmd: exec.CommandContext(a.ctx, words[0], words[1:]...)}
	j.cmd.Stderr = a.stderr
	in, err := j.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := j.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	j.in, j.out = in, bufio.NewReader(out)
	if err := j.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: --keep: give a program that is there", err)
	}
	return j, nil
}

// keep asks about a text.
func (j *judge) keep(text string) bool {
	if j.err != nil {
		return true // the error ends the run
	}
	line, err := json.Marshal(text)
	if err == nil {
		_, err = j.in.Write(append(line, '\n'))
	}
	var answer string
	if err == nil {
		answer, err = j.out.ReadString('\n')
	}
	switch answer = strings.TrimSpace(answer); {
	case err != nil:
		j.err = fmt.Errorf("no answer, %w: %s: see why it ended", err, j.cmd)
	case answer != "true" && answer != "false":
		j.err = fmt.Errorf("the answer %.40q: %s: answer true or false", answer, j.cmd)
	}
	return j.err != nil || answer == "true"
}

// close ends the program.
func (j *judge) close() error {
	err := j.in.Close()
	if j.err != nil {
		_ = j.cmd.Process.Kill() // it may wait for more, or have ended
		_ = j.cmd.Wait()         // the other error says more
		return nil
	}
	return errors.Join(err, j.cmd.Wait())
}
