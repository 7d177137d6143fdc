// Command koala-lang filters texts by language. It reads a JSON string from each
// line of standard input, and answers each line at once with true if the text
// is in one of the languages, or with false. Use it as the program of
// koala dataset filter --keep:
//
//	koala dataset filter --in records.jsonl --out english.jsonl --keep 'koala-lang -languages en'
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/koala-go/sdk/dataset/lang"
)

func main() {
	var o lang.Options
	codes := flag.String("languages", "en", "languages to keep: codes of ISO 639, separated by commas")
	flag.Float64Var(&o.Confidence, "confidence", 0, "confidence from 0 to 1 that a detection needs")
	flag.BoolVar(&o.DropUnsure, "drop-unsure", false, "drop texts below the confidence, such as short ones")
	flag.Parse()
	o.Languages = strings.Split(*codes, ",")
	if err := answer(os.Stdin, os.Stdout, &o); err != nil {
		fmt.Fprintln(os.Stderr, "koala-lang:", err)
		os.Exit(1)
	}
}

// answer answers each line of r until its end.
func answer(r io.Reader, w io.Writer, o *lang.Options) error {
	keep, err := lang.Keep(o)
	if err != nil {
		return err
	}
	in := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil && err != io.EOF {
			return err
		}
		var text string
		if err := json.Unmarshal(line, &text); err != nil {
			return fmt.Errorf("a line is not a JSON string: standard input: write one string on each line: %w", err)
		}
		if _, err := fmt.Fprintln(w, keep(text)); err != nil {
			return err
		}
	}
}
