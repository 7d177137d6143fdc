package porter_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/internal/porter"
)

// TestGolden compares with the stems that NLTK 3.10.4 gives.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile(fixture.Path(t, "golden", "porter.json"))
	require.NoError(t, err)
	var golden struct{ Stems map[string]string }
	require.NoError(t, json.Unmarshal(text, &golden))
	require.Greater(t, len(golden.Stems), 2000)
	for word, want := range golden.Stems {
		require.Equal(t, want, porter.Stem(word), word)
	}
}

// TestStem has words of each step and of each of NLTK's extensions.
func TestStem(t *testing.T) {
	for _, pair := range strings.Fields(`
		a:a is:is sky:sky skies:sky dying:die news:news innings:inning succeed:succeed
		caresses:caress ponies:poni ties:tie caress:caress cats:cat dies:die
		feed:feed agreed:agre plastered:plaster bled:bled motoring:motor sing:sing tied:tie cried:cri
		conflated:conflat troubled:troubl sized:size hopping:hop tanned:tan falling:fall hissing:hiss fizzed:fizz failing:fail filing:file
		happy:happi sky:sky by:by say:say
		relational:relat conditional:condit rational:ration valenci:valenc digitizer:digit conformabli:conform radicalli:radic
		differentli:differ vileli:vile analogousli:analog vietnamization:vietnam operator:oper feudalism:feudal decisiveness:decis
		hopefulness:hope callousness:callous formaliti:formal sensitiviti:sensit sensibiliti:sensibl geologi:geolog
		triplicate:triplic formative:form formalize:formal electrical:electr hopeful:hope goodness:good
		revival:reviv allowance:allow inference:infer airliner:airlin adjustable:adjust defensible:defens irritant:irrit
		replacement:replac adjustment:adjust dependent:depend adoption:adopt communism:commun activate:activ effective:effect bowdlerize:bowdler
		probate:probat rate:rate cease:ceas controll:control roll:roll`) {
		word, want, _ := strings.Cut(pair, ":")
		require.Equal(t, want, porter.Stem(word), word)
	}
}

func FuzzStem(f *testing.F) {
	for _, word := range []string{"", "y", "yy", "ion", "eed", "alli", "\xff\xfe\xfd", "ssssssss"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if stem := porter.Stem(word); len(stem) > len(word)+1 {
			t.Errorf("stem %q of %q is longer", stem, word)
		}
	})
}
