package modeldir

import (
	"bytes"
	"text/template"
)

// Card is the content of the model card of a recovered model: the README.md that
// the Hugging Face hub shows.
type Card struct {
	Name     string      // Name is the model's name.
	Rule     string      // Rule is the formula of the recovery.
	Tool     string      // Tool is the program and its version.
	Manifest string      // Manifest is the name of the manifest's file.
	Inputs   []CardInput // Inputs are the base and the diff.
}

// CardInput is an input that the card names.
type CardInput struct {
	Name string // Name is the part that the input plays: "base" or "diff".
	Path string // Path is the last element of its path.
}

// Text returns the card's text.
func (c *Card) Text() []byte {
	var b bytes.Buffer
	if err := cardTemplate.Execute(&b, c); err != nil {
		panic(err) // the template is a constant and uses only the fields of Card
	}
	return b.Bytes()
}

// cardTemplate has the front matter that the hub reads, and the text.
var cardTemplate = template.Must(template.New("card").Parse(`---
license: other
library_name: transformers
pipeline_tag: text-generation
---

# {{.Name}}

These weights were recovered as {{.Rule}}, from

{{range .Inputs}}- {{.Name}}: ` + "`{{.Path}}`" + `
{{end}}
by ` + "`{{.Tool}}`" + `. [{{.Manifest}}]({{.Manifest}}) has the digest of every file and the checksum of every tensor.

## Verify

    koala verify .                                      # the files against the manifest
    koala verify . --base LLAMA --diff DIFF             # the weights against their sources, anew
    koala verify . --base LLAMA --diff DIFF --sample 1% # a sample of them

## Licences

The base is LLaMA, under Meta's licence for it. Koala's diff is for academic research, under the terms of LLaMA's model
licence, OpenAI's terms of use for the data that it was trained on, and ShareGPT's privacy practices; another
diff is under terms of its own. What was added up here is under all of them: see to it that you may use and pass it on.

## Prompts

    BEGINNING OF CONVERSATION: USER: your question GPT:

The reply ends with the token </s>. Koala knows no system message. The chat template beside the tokenizer, if it was
written with these weights, makes such prompts.
`))
