package backend

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strings"
	"unicode"
)

// WordList flags texts that hold one of its words or phrases. It is a
// koala.Moderator, and safe for concurrent use.
//
// It compares whole words, whatever the case, the spaces and the punctuation
// between them; full-width letters are read as ASCII and characters of no
// width are skipped. In scripts without spaces, like Chinese, each character is
// a word.
type WordList struct{ entries map[string][]entry } // by the first word

type entry struct {
	words []string
	text  string // as it was given
}

// NewWordList makes a list. Entries without a letter or a digit are left out.
func NewWordList(entries ...string) *WordList {
	l := &WordList{make(map[string][]entry)}
	for _, text := range entries {
		if words := split(text); len(words) > 0 {
			l.entries[words[0]] = append(l.entries[words[0]], entry{words, strings.TrimSpace(text)})
		}
	}
	return l
}

// ReadWordList reads a list with an entry a line; lines that begin with # are
// left out. The error is that of r, or bufio.ErrTooLong for a line over 64 KiB.
func ReadWordList(r io.Reader) (*WordList, error) {
	var entries []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "#") {
			entries = append(entries, lines.Text())
		}
	}
	return NewWordList(entries...), lines.Err()
}

// Moderate gives the first entry that a text holds, or "". The error is always
// nil.
func (l *WordList) Moderate(_ context.Context, text string) (string, error) {
	words := split(text)
	for i, word := range words {
		for _, e := range l.entries[word] {
			if len(words)-i >= len(e.words) && slices.Equal(words[i:i+len(e.words)], e.words) {
				return e.text, nil
			}
		}
	}
	return "", nil
}

// split gives the words of a text as they are compared.
func split(text string) []string {
	var words []string
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	for _, r := range text {
		if r >= '！' && r <= '～' {
			r -= '！' - '!'
		}
		switch {
		case unicode.Is(unicode.Cf, r): // of no width
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
			end()
			words = append(words, string(r))
		case unicode.In(r, unicode.L, unicode.N, unicode.M):
			word.WriteRune(unicode.ToLower(unicode.ToUpper(r)))
		default:
			end()
		}
	}
	end()
	return words
}
