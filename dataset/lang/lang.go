// Package lang is a ready language filter for package dataset: whatlanggo's
// trigrams, behind the hook that dataset.QueryFilter takes:
//
//	keep, err := lang.Keep(nil)
//	…
//	english := dataset.Filter(records, "language", dataset.QueryFilter(keep), report)
//
// It is a module of its own, so that its tables are linked only into programs
// that import it. Command koala-lang offers the same filter to
// `koala dataset filter --keep`.
package lang

import (
	"fmt"
	"strings"

	"github.com/abadojack/whatlanggo"
)

// Options are the choices of Keep; nil means English.
type Options struct {
	Languages []string // to keep, by their codes of ISO 639-1 or 639-3, as in "en" (default English)
	// Confidence is how sure a judgement must be, from 0 to 1; at 0 all are
	// taken. What is not so sure, such as a short text, is kept if it is in the
	// script of one of the languages, unless DropUnsure is set.
	Confidence float64
	DropUnsure bool
}

// Keep makes a judgement on texts, for dataset.QueryFilter. A language is told
// from others of its script by trigrams, which for a few sentences is no
// sure thing among near ones: Russian may be taken for Bulgarian. The error names a language that is not known.
func Keep(opts *Options) (func(text string) bool, error) {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	if len(o.Languages) == 0 {
		o.Languages = []string{"en"}
	}
	if !(o.Confidence >= 0 && o.Confidence <= 1) {
		return nil, fmt.Errorf("a confidence of %v is not from 0 to 1", o.Confidence)
	}
	wanted := make(map[whatlanggo.Lang]bool)
	for _, code := range o.Languages {
		l, ok := known[strings.ToLower(code)]
		if !ok {
			return nil, fmt.Errorf("unknown language: %.20q: give a code of ISO 639 such as en", code)
		}
		wanted[l] = true
	}
	return func(text string) bool {
		info := whatlanggo.Detect(text)
		if info.Lang == -1 { // no letters
			return !o.DropUnsure
		}
		if info.Confidence < o.Confidence && !o.DropUnsure {
			return whatlanggo.DetectLangWithOptions(text, whatlanggo.Options{Whitelist: wanted}) != -1
		}
		return wanted[info.Lang] && info.Confidence >= o.Confidence
	}, nil
}

// known are the languages by their codes.
var known = func() map[string]whatlanggo.Lang {
	codes := make(map[string]whatlanggo.Lang)
	for l := range whatlanggo.Langs {
		codes[l.Iso6391()], codes[l.Iso6393()] = l, l
	}
	delete(codes, "")
	return codes
}()
