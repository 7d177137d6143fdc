package tokenizer_test

import (
	"fmt"
	"strings"

	"github.com/koala-go/sdk/tokenizer"
)

func Example() {
	t := tokenizer.Default()
	ids := t.Encode("Hello  world", nil)
	text, err := t.Decode(ids)
	fmt.Println(ids, text, err)
	// Output: [15043 29871 3186] Hello  world <nil>
}

// Special tokens are text, unless they are asked for.
func ExampleTokenizer_AppendEncode() {
	t := tokenizer.Default()
	fmt.Println(t.AppendEncode(nil, "<s>hello</s>", nil))
	fmt.Println(t.AppendEncode(nil, "<s>hello</s>", &tokenizer.Options{Specials: tokenizer.SpecialsHFLegacy}))
	fmt.Println(t.AppendEncode(nil, "hello", &tokenizer.Options{BOS: true, EOS: true}))
	// Output:
	// [529 29879 29958 12199 829 29879 29958]
	// [1 22172 2]
	// [1 22172 2]
}

func ExampleTokenizer_AppendEncodeSpans() {
	t := tokenizer.Default()
	text := "naïve 🦙"
	ids, spans := t.AppendEncodeSpans(nil, nil, text, nil)
	for i, id := range ids {
		fmt.Printf("%s %q\n", t.Piece(id), text[spans[i].Begin:spans[i].End])
	}
	// Output:
	// ▁na "na"
	// ï "ï"
	// ve "ve"
	// ▁ " "
	// <0xF0> "\xf0"
	// <0x9F> "\x9f"
	// <0xA6> "\xa6"
	// <0x99> "\x99"
}

func ExampleTokenizer_Truncate() {
	t := tokenizer.Default()
	fmt.Printf("%q\n", t.Truncate("How much wood would a woodchuck chuck", 4, tokenizer.KeepStart, nil))
	fmt.Printf("%q\n", t.Truncate("How much wood would a woodchuck chuck", 4, tokenizer.KeepEnd, nil))
	// Output:
	// "How much wood would"
	// "chuck chuck"
}

// A decoder gives whole characters as their tokens come.
func ExampleDecoder() {
	d := tokenizer.Default().NewDecoder()
	for _, id := range []tokenizer.Token{15043, 29871, 243, 162, 169, 156} {
		text, err := d.Append(nil, []tokenizer.Token{id})
		fmt.Printf("%q %v\n", text, err)
	}
	// Output:
	// "Hello" <nil>
	// " " <nil>
	// "" <nil>
	// "" <nil>
	// "" <nil>
	// "🦙" <nil>
}

// An encoder reads a text of any length.
func ExampleEncoder() {
	e := tokenizer.Default().NewEncoder(strings.NewReader("Hello world"), nil)
	for {
		ids, err := e.Append(nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(ids)
	}
	// Output:
	// [15043 3186]
	// EOF
}
