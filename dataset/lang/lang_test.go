package lang_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dataset/lang"
)

const (
	english = "Could you please explain to me how a rainbow comes about after the rain?"
	german  = "Könntest du mir bitte erklären, wie nach dem Regen ein Regenbogen entsteht?"
	french  = "Pourriez-vous m'expliquer comment un arc-en-ciel se forme après la pluie ?"
	greek   = "Μπορείς να μου εξηγήσεις πώς εμφανίζεται το ουράνιο τόξο μετά τη βροχή;"
	chinese = "请您解释一下雨后彩虹是怎么形成的?"
)

// TestKeep checks that each language is kept alone and beside another.
func TestKeep(t *testing.T) {
	all := map[string]string{"en": english, "deu": german, "FR": french, "el": greek, "cmn": chinese}
	for code, text := range all {
		keep, err := lang.Keep(&lang.Options{Languages: []string{code}})
		require.NoError(t, err)
		for other, text := range all {
			require.Equal(t, code == other, keep(text), "%s of %s", code, other)
		}
		keep, err = lang.Keep(&lang.Options{Languages: []string{"it", code}})
		require.NoError(t, err)
		require.True(t, keep(text))
	}
	keep, err := lang.Keep(nil)
	require.NoError(t, err)
	require.True(t, keep(english))
	require.False(t, keep(german))
}

// TestUnsure checks that texts below the confidence are kept, unless DropUnsure
// is set.
func TestUnsure(t *testing.T) {
	for _, drop := range []bool{false, true} {
		keep, err := lang.Keep(&lang.Options{Confidence: 0.9, DropUnsure: drop})
		require.NoError(t, err)
		for _, text := range []string{"", "42", "ok"} {
			require.Equal(t, !drop, keep(text), text)
		}
		require.False(t, keep(greek)) // English has another script
	}
}

// TestBadOptions checks that impossible values are option errors.
func TestBadOptions(t *testing.T) {
	for _, o := range []lang.Options{{Languages: []string{"klingon"}}, {Languages: []string{""}}, {Confidence: -1}, {Confidence: 2}, {Confidence: math.NaN()}} {
		_, err := lang.Keep(&o)
		require.ErrorIs(t, err, lang.ErrOptions, "%v", o)
	}
}

func ExampleKeep() {
	keep, err := lang.Keep(&lang.Options{Languages: []string{"en"}})
	if err != nil {
		panic(err)
	}
	fmt.Println(keep("What is the weather like in the north of the country today?"))
	fmt.Println(keep("Wie ist heute das Wetter im Norden des Landes?"))
	// Output:
	// true
	// false
}
