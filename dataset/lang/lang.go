// Package lang filters texts by language, with the trigrams of whatlanggo. Call
// Keep and pass its result to dataset.QueryFilter:
//
//	keep, err := lang.Keep(nil)
//	…
//	english := dataset.Filter(records, "language", dataset.QueryFilter(keep), report)
//
// The package is a module of its own, so that its tables are linked only into
// programs that import it. The command koala-lang offers the same filter to
// koala dataset filter --keep.
package lang

import (
	"errors"
	"fmt"
	"strings"

	"github.com/abadojack/whatlanggo"
)

// ErrOptions reports an option with an unknown or impossible value.
var ErrOptions = errors.New("invalid option")

// Options are the options of Keep. Nil means the zero value.
type Options struct {
	// Languages are the languages to keep, as codes of ISO 639-1 or 639-3 such
	// as "en". Default: English.
	Languages []string
	// Confidence is the confidence from 0 to 1 that a detection needs. Zero
	// accepts every detection. A text below it, such as a short one, is kept if
	// its script is that of one of the languages.
	Confidence float64
	// DropUnsure drops the texts below Confidence, and those without letters.
	DropUnsure bool
}

// Keep returns a function that reports whether to keep a text. Languages of the
// same script are distinguished by trigrams. For a few sentences that is not
// reliable among similar languages: Russian may be taken for Bulgarian. Keep
// returns ErrOptions for an unknown language or an impossible confidence.
func Keep(opts *Options) (func(text string) bool, error) {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	if len(o.Languages) == 0 {
		o.Languages = []string{"en"}
	}
	if !(o.Confidence >= 0 && o.Confidence <= 1) { // refuses NaN too
		return nil, fmt.Errorf("%w: confidence %v: give a number from 0 to 1", ErrOptions, o.Confidence)
	}
	wanted := make(map[whatlanggo.Lang]bool)
	for _, code := range o.Languages {
		l, ok := languages[strings.ToLower(code)]
		if !ok {
			return nil, fmt.Errorf("%w: unknown language %.20q: give a code of ISO 639 such as en", ErrOptions, code)
		}
		wanted[l] = true
	}
	return func(text string) bool {
		info := whatlanggo.Detect(text)
		if info.Lang == -1 { // the text has no letters
			return !o.DropUnsure
		}
		if info.Confidence < o.Confidence && !o.DropUnsure {
			return whatlanggo.DetectLangWithOptions(text, whatlanggo.Options{Whitelist: wanted}) != -1
		}
		return wanted[info.Lang] && info.Confidence >= o.Confidence
	}, nil
}

// languages maps codes to languages.
var languages = func() map[string]whatlanggo.Lang {
	codes := make(map[string]whatlanggo.Lang)
	for l := range whatlanggo.Langs {
		codes[l.Iso6391()], codes[l.Iso6393()] = l, l
	}
	delete(codes, "")
	return codes
}()
