// Package porter stems English words as NLTK's PorterStemmer does in its
// default mode, NLTK_EXTENSIONS. Rouge-L as rouge_score computes it depends on
// this stemmer: Porter's original algorithm and Snowball's English stemmer give
// other stems for about two words in a hundred.
//
// Sources: M. F. Porter, "An algorithm for suffix stripping", Program 14 (1980)
// 130-137, whose steps and conditions the functions are named after, and the
// departures that NLTK documents for its extensions.
package porter

import "strings"

// irregular maps words that the steps below would stem badly to their stems.
var irregular = map[string]string{
	"sky": "sky", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news",
	"innings": "inning", "inning": "inning", "outings": "outing", "outing": "outing", "cannings": "canning", "canning": "canning",
	"howe": "howe", "proceed": "proceed", "exceed": "exceed", "succeed": "succeed",
}

// Stem returns the stem of a word in lower case. Bytes other than a to z count
// as consonants.
func Stem(word string) string {
	if stem, ok := irregular[word]; ok {
		return stem
	}
	if len(word) <= 2 {
		return word
	}
	for _, step := range []func(string) string{step1a, step1b, step1c, step2, step3, step4, step5a, step5b} {
		word = step(word)
	}
	return word
}

// isConsonant reports whether the letter at i is a consonant. A y is one at
// the beginning and after a vowel.
func isConsonant(word string, i int) bool {
	switch word[i] {
	case 'a', 'e', 'i', 'o', 'u':
		return false
	case 'y':
		return i == 0 || !isConsonant(word, i-1)
	}
	return true
}

// measure returns m of Porter's form [C](VC)^m[V]: how often a run of vowels is
// followed by a consonant.
func measure(stem string) (m int) {
	vowel, before := false, true // before: whether the letter before is a consonant
	for i := range len(stem) {
		consonant := true
		switch stem[i] {
		case 'a', 'e', 'i', 'o', 'u':
			consonant = false
		case 'y':
			consonant = i == 0 || !before
		}
		if consonant && vowel {
			m++
		}
		vowel, before = !consonant, consonant
	}
	return m
}

func hasVowel(stem string) bool {
	for i := range len(stem) {
		if !isConsonant(stem, i) {
			return true
		}
	}
	return false
}

// endsDouble reports Porter's condition *d: the word ends in a double consonant.
func endsDouble(word string) bool {
	n := len(word)
	return n >= 2 && word[n-1] == word[n-2] && isConsonant(word, n-1)
}

// endsCVC reports Porter's condition *o: the word ends in consonant, vowel,
// consonant, and the last is not w, x or y. NLTK adds words of two letters: a
// vowel and a consonant.
func endsCVC(word string) bool {
	n := len(word)
	if n == 2 {
		return !isConsonant(word, 0) && isConsonant(word, 1)
	}
	return n >= 3 && isConsonant(word, n-3) && !isConsonant(word, n-2) && isConsonant(word, n-1) &&
		!strings.ContainsRune("wxy", rune(word[n-1]))
}

// A rule replaces a suffix if its condition holds for what precedes it.
type rule struct {
	suffix, replacement string
	condition           func(stem string) bool
}

// apply applies the first rule whose suffix the word has. If that rule's
// condition fails, the word stays as it is.
func apply(word string, rules []rule) string {
	for _, r := range rules {
		stem, ok := strings.CutSuffix(word, r.suffix)
		switch {
		case !ok:
		case r.condition == nil || r.condition(stem):
			return stem + r.replacement
		default:
			return word
		}
	}
	return word
}

func positive(stem string) bool { return measure(stem) > 0 }
func aboveOne(stem string) bool { return measure(stem) > 1 }
func beforeIon(stem string) bool {
	return aboveOne(stem) && strings.ContainsRune("st", rune(stem[len(stem)-1]))
}

var plurals = []rule{{"sses", "ss", nil}, {"ies", "i", nil}, {"ss", "ss", nil}, {"s", "", nil}}

// step1a removes the plural. NLTK keeps the e of words of four letters: ties
// becomes tie.
func step1a(word string) string {
	if len(word) == 4 && strings.HasSuffix(word, "ies") {
		return word[:3]
	}
	return apply(word, plurals)
}

// step1b removes ed and ing. NLTK treats ied like ies.
func step1b(word string) string {
	if stem, ok := strings.CutSuffix(word, "ied"); ok {
		if len(word) == 4 {
			return stem + "ie"
		}
		return stem + "i"
	}
	if stem, ok := strings.CutSuffix(word, "eed"); ok {
		if positive(stem) {
			return stem + "ee"
		}
		return word
	}
	for _, suffix := range []string{"ed", "ing"} {
		if stem, ok := strings.CutSuffix(word, suffix); ok && hasVowel(stem) {
			return restore(stem)
		}
	}
	return word
}

// restore repairs a stem that lost ed or ing: conflat becomes conflate, hopp
// becomes hop, fil becomes file.
func restore(stem string) string {
	n := len(stem)
	switch {
	case strings.HasSuffix(stem, "at"), strings.HasSuffix(stem, "bl"), strings.HasSuffix(stem, "iz"):
		return stem + "e"
	case endsDouble(stem):
		if strings.ContainsRune("lsz", rune(stem[n-1])) {
			return stem
		}
		return stem[:n-1]
	case measure(stem) == 1 && endsCVC(stem):
		return stem + "e"
	}
	return stem
}

// step1c turns a final y into i. NLTK asks for a consonant before it that is
// not the first letter.
func step1c(word string) string {
	if stem, ok := strings.CutSuffix(word, "y"); ok && len(stem) > 1 && isConsonant(stem, len(stem)-1) {
		return stem + "i"
	}
	return word
}

var doubleSuffixes = []rule{
	{"ational", "ate", positive}, {"tional", "tion", positive}, {"enci", "ence", positive}, {"anci", "ance", positive},
	{"izer", "ize", positive}, {"bli", "ble", positive}, {"alli", "al", positive}, {"entli", "ent", positive},
	{"eli", "e", positive}, {"ousli", "ous", positive}, {"ization", "ize", positive}, {"ation", "ate", positive},
	{"ator", "ate", positive}, {"alism", "al", positive}, {"iveness", "ive", positive}, {"fulness", "ful", positive},
	{"ousness", "ous", positive}, {"aliti", "al", positive}, {"iviti", "ive", positive}, {"biliti", "ble", positive},
	{"fulli", "ful", positive},
	// The l of log belongs to the stem whose measure counts.
	{"logi", "log", func(stem string) bool { return positive(stem + "l") }},
}

// step2 shortens double suffixes. NLTK repeats it after alli.
func step2(word string) string {
	if stem, ok := strings.CutSuffix(word, "alli"); ok && positive(stem) {
		return step2(stem + "al")
	}
	return apply(word, doubleSuffixes)
}

var adjectives = []rule{
	{"icate", "ic", positive}, {"ative", "", positive}, {"alize", "al", positive}, {"iciti", "ic", positive},
	{"ical", "ic", positive}, {"ful", "", positive}, {"ness", "", positive},
}

func step3(word string) string { return apply(word, adjectives) }

var lastSuffixes = []rule{
	{"al", "", aboveOne}, {"ance", "", aboveOne}, {"ence", "", aboveOne}, {"er", "", aboveOne}, {"ic", "", aboveOne},
	{"able", "", aboveOne}, {"ible", "", aboveOne}, {"ant", "", aboveOne}, {"ement", "", aboveOne}, {"ment", "", aboveOne},
	{"ent", "", aboveOne}, {"ion", "", beforeIon}, {"ou", "", aboveOne}, {"ism", "", aboveOne}, {"ate", "", aboveOne},
	{"iti", "", aboveOne}, {"ous", "", aboveOne}, {"ive", "", aboveOne}, {"ize", "", aboveOne},
}

func step4(word string) string { return apply(word, lastSuffixes) }

// step5a removes a final e.
func step5a(word string) string {
	stem, ok := strings.CutSuffix(word, "e")
	if !ok {
		return word
	}
	if m := measure(stem); m > 1 || m == 1 && !endsCVC(stem) {
		return stem
	}
	return word
}

// step5b shortens a final ll.
func step5b(word string) string {
	if strings.HasSuffix(word, "ll") && aboveOne(word[:len(word)-1]) {
		return word[:len(word)-1]
	}
	return word
}
