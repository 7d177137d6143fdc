package backend

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strings"
	"unicode"
)

// WordList flags texts that contain one of its words or phrases. It is a
// koala.Moderator and is safe for concurrent use.
//
// It compares whole words and ignores case, spaces and the punctuation between
// words. It reads full-width letters as ASCII and skips characters of zero width.
// In scripts without spaces, like Chinese, each character is a word.
type WordList struct {
	entries map[string][]entry // by their first word
}

type entry struct {
	words []string
	text  string // the entry before it was split
}

// NewWordList returns a list of words and phrases. It skips entries without a
// letter or a digit.
func NewWordList(entries ...string) *WordList {
	l := &WordList{make(map[string][]entry)}
	for _, text := range entries {
		if words := split(text); len(words) > 0 {
			l.entries[words[0]] = append(l.entries[words[0]], entry{words, strings.TrimSpace(text)})
		}
	}
	return l
}

// ReadWordList reads a list with one entry per line. It skips lines that begin with
// #. The error is that of r, or bufio.ErrTooLong for a line over 64 KiB.
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

// Moderate returns the first entry that the text contains, or "". The error is
// always nil.
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

// split returns the words of a text in the form in which they are compared.
func split(text string) []string {
	var words []string
	var word strings.Builder
	endWord := func() {
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
		case unicode.Is(unicode.Cf, r): // zero width
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
			endWord()
			words = append(words, string(r))
		case unicode.In(r, unicode.L, unicode.N, unicode.M):
			word.WriteRune(unicode.ToLower(unicode.ToUpper(r)))
		default:
			endWord()
		}
	}
	endWord()
	return words
}
