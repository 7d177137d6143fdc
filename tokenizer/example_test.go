package tokenizer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/koala-go/sdk/source"
	"github.com/koala-go/sdk/tokenizer"
)

func Example() {
	t := tokenizer.Default()
	ids := t.Encode("Hello  world", nil)
	text, err := t.Decode(ids)
	fmt.Println(ids, text, err)
	// Output: [15043 29871 3186] Hello  world <nil>
}

// Open reads a file of the local file system if it is given no options.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "tokenizer.json")
	if err := os.WriteFile(name, exported(tokenizer.FormatHF), 0o644); err != nil {
		log.Fatal(err)
	}

	t, err := tokenizer.Open(context.Background(), name, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(t.Kind(), t.Len(), t.Encode("Hello world", nil))
	// Output: huggingface 32000 [15043 3186]
}

// A Source gives Open files that are not on the local file system.
func ExampleOpen_source() {
	src := source.Map{"koala/tokenizer.model": bytes.NewReader(exported(tokenizer.FormatSPM))}
	t, err := tokenizer.Open(context.Background(), "koala/tokenizer.model", &tokenizer.OpenOptions{Source: src})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(t.Kind(), t.Encode("Hello world", nil))
	// Output: sentencepiece [15043 3186]
}

// NewReader reads a tokenizer from memory, or from any other io.ReaderAt.
func ExampleNewReader() {
	data := exported(tokenizer.FormatSPM)
	t, err := tokenizer.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(t.Kind(), t.Encode("Hello world", nil))
	// Output: sentencepiece [15043 3186]
}

// A ModelError tells what is wrong and where, and matches one kind of error.
func ExampleModelError() {
	data := []byte("This is not a tokenizer.")
	_, err := tokenizer.NewReader(bytes.NewReader(data), int64(len(data)))
	var bad *tokenizer.ModelError
	fmt.Println(errors.As(err, &bad), errors.Is(err, tokenizer.ErrMalformed))
	fmt.Println(bad.Kind, bad.Offset)
	// Output:
	// true true
	// sentencepiece 0
}

// exported returns LLaMA's tokenizer as a file.
func exported(format tokenizer.Format) []byte {
	var b bytes.Buffer
	if err := tokenizer.Default().Export(&b, format); err != nil {
		log.Fatal(err)
	}
	return b.Bytes()
}

func ExampleTokenizer_Export() {
	for _, format := range tokenizer.Formats() {
		var b bytes.Buffer
		err := tokenizer.Default().Export(&b, format)
		fmt.Println(format, b.Len() > 0, err)
	}
	// Output:
	// spm true <nil>
	// hf true <nil>
}

func ExampleTokenizer_EncodeBatch() {
	texts := []string{"Hello world", "", "Hello"}
	for i, ids := range tokenizer.Default().EncodeBatch(texts, nil, 0) {
		fmt.Printf("%q %v\n", texts[i], ids)
	}
	// Output:
	// "Hello world" [15043 3186]
	// "" []
	// "Hello" [15043]
}

func ExampleTokenizer_Count() {
	t := tokenizer.Default()
	fmt.Println(t.Count("Hello world", nil), t.Count("Hello world", &tokenizer.Options{BOS: true}))
	// Output: 2 3
}

func ExampleCheckText() {
	fmt.Println(tokenizer.CheckText("caf\xe9"))
	// Output: text is not UTF-8: byte 3: correct the text, or allow invalid bytes to be read as U+FFFD
}

func ExampleParseSpecials() {
	for _, mode := range tokenizer.SpecialModes() {
		parsed, err := tokenizer.ParseSpecials(mode.String())
		fmt.Println(mode, parsed == mode, err)
	}
	_, err := tokenizer.ParseSpecials("hugging")
	fmt.Println(errors.Is(err, tokenizer.ErrOptions), err)
	// Output:
	// none true <nil>
	// hf-legacy true <nil>
	// hf true <nil>
	// llama.cpp true <nil>
	// true unknown mode for special tokens "hugging": options: use one of none, hf-legacy, hf, llama.cpp
}

func ExampleTokenizer_Properties() {
	p := tokenizer.Default().Properties()
	fmt.Println(p.ByteFallback, p.Linear, p.Pairs)
	// Output: true true 3278
}

// Special tokens in a text are ordinary text, unless the options say otherwise.
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

// A Decoder returns whole characters as their tokens arrive.
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

// An Encoder reads a text of any length.
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
