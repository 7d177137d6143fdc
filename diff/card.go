package diff

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"text/template"
)

// cardName is the file of the model card.
const cardName = "README.md"

// card is the README.md of a recovered model, as the Hugging Face hub shows it.
var card = template.Must(template.New("card").Parse(`---
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

// modelCard says what was combined, under which licences, and how to verify it.
func (p *Plan) modelCard() []byte {
	var b bytes.Buffer
	type source struct{ Name, Path string }
	data := struct {
		Name, Rule, Tool, Manifest string
		Inputs                     []source
	}{modelName(&p.sources[0].Config), p.rule(), toolVersion(), ManifestName, nil}
	for i, c := range p.sources {
		data.Inputs = append(data.Inputs, source{p.inputs[i].name, filepath.Base(c.Path)})
	}
	_ = card.Execute(&b, data) // of such data it does not fail
	return b.Bytes()
}

// isCard says whether the README.md in a directory is the one that its manifest
// tells of: one that somebody wrote, or changed, is not ours to replace.
func isCard(dir string) bool {
	m, err := ReadManifest(filepath.Join(dir, ManifestName))
	if err != nil {
		return false
	}
	text, err := readSmall(filepath.Join(dir, cardName))
	if err != nil {
		return false
	}
	for _, f := range m.Outputs {
		if f.Name == cardName {
			return f.Size == int64(len(text)) && (f.SHA256 == "" || f.SHA256 == fmt.Sprintf("%x", sha256.Sum256(text)))
		}
	}
	return false
}
