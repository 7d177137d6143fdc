// Command koala-lang tells which texts are in some languages: it reads a JSON
// string a line and answers each with a line, true or false, at once. It is
// what `koala dataset filter --keep` asks:
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
	languages := flag.String("languages", "en", "languages to keep, by their codes, with commas between them")
	flag.Float64Var(&o.Confidence, "confidence", 0, "how sure a judgement must be, from 0 to 1")
	flag.BoolVar(&o.DropUnsure, "drop-unsure", false, "drop what is not so sure, such as short texts")
	flag.Parse()
	o.Languages = strings.Split(*languages, ",")
	if err := answer(os.Stdin, os.Stdout, &o); err != nil {
		fmt.Fprintln(os.Stderr, "koala-lang:", err)
		os.Exit(1)
	}
}

// answer reads texts to the end.
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
			return fmt.Errorf("%w: a line that is no JSON string: give one a line", err)
		}
		if _, err := fmt.Fprintln(w, keep(text)); err != nil {
			return err
		}
	}
}
