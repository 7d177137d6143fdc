package eval

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/koala-go/sdk/internal/porter"
)

// Overlap is how much of two texts is common: the scores of one pair.
type Overlap struct {
	Precision, Recall, F float64 // each from 0 to 1
}

// MaxRougeWords is the largest number of words of a text that RougeL accepts.
// The time of the longest common subsequence grows with the product of both
// lengths.
const MaxRougeWords = 1 << 17

// RougeL returns the Rouge-L score of a prediction: that of the reference for
// which F is largest. Without references, and where a text has no words, it is
// zero. To score many predictions, use a [Scorer].
//
// It computes what Tk-Instruct and rouge_score 0.1.2 compute with
// use_stemmer=True: p = l/|prediction|, r = l/|reference|, F = 2pr/(p+r), where
// l is the length of the longest common subsequence of words, see RougeWords.
func RougeL(prediction string, references []string) (Overlap, error) {
	return NewScorer().RougeL(prediction, references)
}

// RougeWords returns the words of a text as rouge_score counts them: runs of
// ASCII letters and digits in lower case. Words of more than three characters
// are stemmed. Texts without such characters have no words.
func RougeWords(text string) []string {
	s := NewScorer()
	ids := s.words(nil, text)
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = s.stems[id]
	}
	return words
}

// Scorer computes Rouge-L scores and remembers the stems of words. It is for
// one goroutine at a time.
type Scorer struct {
	ids   map[string]int32 // the stem of each word
	byID  map[string]int32 // the number of each stem
	stems []string         // the stem of each number

	word                 []byte
	predicted, reference []int32
	matches              []uint64 // by stem: its positions among 64 words
	carries              []uint8  // by word of the other text
}

// maxRemembered is the number of words that a Scorer remembers before it
// forgets them all.
const maxRemembered = 1 << 16

// NewScorer returns a Scorer.
func NewScorer() *Scorer {
	return &Scorer{ids: map[string]int32{}, byID: map[string]int32{}}
}

// RougeL is the function of the same name.
func (s *Scorer) RougeL(prediction string, references []string) (Overlap, error) {
	if len(s.ids) > maxRemembered {
		clear(s.ids)
		clear(s.byID)
		s.stems = s.stems[:0]
	}
	var best Overlap
	s.predicted = s.words(s.predicted[:0], prediction)
	for _, reference := range references {
		s.reference = s.words(s.reference[:0], reference)
		if n := max(len(s.predicted), len(s.reference)); n > MaxRougeWords {
			return Overlap{}, fmt.Errorf("a text of %d words is too long for Rouge-L: shorten it to %d words", n, MaxRougeWords)
		}
		if score := s.overlap(); score.F > best.F {
			best = score
		}
	}
	return best, nil
}

// overlap scores the words of both texts.
func (s *Scorer) overlap() Overlap {
	if len(s.predicted) == 0 || len(s.reference) == 0 {
		return Overlap{}
	}
	common := float64(s.commonSubsequence(s.predicted, s.reference))
	o := Overlap{Precision: common / float64(len(s.predicted)), Recall: common / float64(len(s.reference))}
	if o.Precision+o.Recall > 0 {
		o.F = 2 * o.Precision * o.Recall / (o.Precision + o.Recall)
	}
	return o
}

// words appends the numbers of the words of a text.
func (s *Scorer) words(dst []int32, text string) []int32 {
	s.word = s.word[:0]
	for _, r := range text {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			s.word = append(s.word, byte(r))
		case 'A' <= r && r <= 'Z':
			s.word = append(s.word, byte(r)|0x20)
		case r == '\u212a': // the Kelvin sign, whose lower case is k
			s.word = append(s.word, 'k')
		case r == '\u0130': // İ, which Python lowers to i and a combining dot
			dst = s.end(dst, 'i')
		default:
			dst = s.end(dst)
		}
	}
	return s.end(dst)
}

// end ends the current word, after more bytes if there are any, and appends its
// number.
func (s *Scorer) end(dst []int32, more ...byte) []int32 {
	s.word = append(s.word, more...)
	if len(s.word) == 0 {
		return dst
	}
	id, ok := s.ids[string(s.word)]
	if !ok {
		id = s.remember(string(s.word))
	}
	s.word = s.word[:0]
	return append(dst, id)
}

// remember returns the number of a new word's stem.
func (s *Scorer) remember(word string) int32 {
	stem := word
	if len(word) > 3 {
		stem = porter.Stem(word)
	}
	id, ok := s.byID[stem]
	if !ok {
		id = int32(len(s.stems))
		s.byID[stem], s.stems = id, append(s.stems, stem)
	}
	s.ids[word] = id
	return id
}

// commonSubsequence returns the length of the longest common subsequence. It
// takes 64 positions of a at a time: the method of H. Hyyrö, "Bit-parallel
// LCS-length computation revisited" (2004). A zero bit of row says that the
// length of the subsequence grows at this position of a. The sum of 64 bits may
// carry into the next 64 positions; the carries of all words of b are kept.
func (s *Scorer) commonSubsequence(a, b []int32) int {
	if n := len(s.stems) - len(s.matches); n > 0 {
		s.matches = append(s.matches, make([]uint64, n)...)
	}
	s.carries = append(s.carries[:0], make([]uint8, len(b))...)
	length := 0
	for block := range slices.Chunk(a, 64) {
		for i, word := range block {
			s.matches[word] |= 1 << i
		}
		row := ^uint64(0)
		for k, word := range b {
			matches := row & s.matches[word]
			sum, carry := bits.Add64(row, matches, uint64(s.carries[k]))
			row, s.carries[k] = sum|row&^matches, uint8(carry)
		}
		for _, word := range block {
			s.matches[word] = 0
		}
		// The positions behind the end of a match nothing.
		length += bits.OnesCount64(^row & (1<<len(block) - 1))
	}
	return length
}

// punctuation is Python's string.punctuation.
const punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

// ExactMatch reports whether a prediction equals one of the references as
// Tk-Instruct compares them: in lower case, without ASCII punctuation, and with
// each run of white space as one space. So 3.14 equals 314.
func ExactMatch(prediction string, references []string) bool {
	want := normalize(prediction)
	for _, reference := range references {
		if normalize(reference) == want {
			return true
		}
	}
	return false
}

func normalize(text string) string {
	text = strings.ReplaceAll(text, "\u0130", "i\u0307") // as Python lowers it
	text = strings.Map(func(r rune) rune {
		if r < 0x80 && strings.ContainsRune(punctuation, r) {
			return -1
		}
		return r
	}, strings.ToLower(text))
	return strings.Join(strings.Fields(text), " ")
}
