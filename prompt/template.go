package prompt

import "strings"

// ChatTemplate is the FastChat dialect as a Jinja template. Use it as chat_template in
// a tokenizer_config.json of Hugging Face, as tokenizer.chat_template in a GGUF file, or
// with llama.cpp's --jinja --chat-template-file.
//
// It does not put a BOS in front, like Koala's training; engines that add one to every
// text also add it here. Its policies are those of FromMessages with System: Fold. It
// raises an exception for turns that do not alternate, for messages of tools, and for
// system messages without a user's turn after them. A message may contain
// "quality": "unhelpful". Without add_generation_prompt, or after a reply, the text does
// not end with a marker.
const ChatTemplate = `{%- set ns = namespace(system='', due='user') -%}
{{- 'BEGINNING OF CONVERSATION: ' -}}
{%- for message in messages -%}
    {%- if message['role'] == 'system' or message['role'] == 'developer' -%}
        {%- set ns.system = ns.system + message['content'] + '\n' -%}
    {%- elif message['role'] != ns.due -%}
        {{- raise_exception('Koala takes user and assistant turns in alternation, the user first, and no tools') -}}
    {%- elif message['role'] == 'user' -%}
        {{- 'USER: ' + ns.system + message['content'] -}}
        {%- set ns.system = '' -%}
        {%- set ns.due = 'assistant' -%}
    {%- else -%}
        {{- ' An Unhelpful Answer: ' if message['quality'] == 'unhelpful' else ' GPT: ' -}}
        {{- message['content'] + '</s>' -}}
        {%- set ns.due = 'user' -%}
    {%- endif -%}
{%- endfor -%}
{%- if ns.system -%}
    {{- raise_exception('Koala has no system turn: a user turn must follow a system message') -}}
{%- endif -%}
{%- if add_generation_prompt and ns.due == 'assistant' -%}
    {{- ' GPT:' -}}
{%- endif -%}`

// OllamaTemplate is the FastChat dialect for the TEMPLATE of an Ollama Modelfile. It
// uses .Messages, because a template with .Prompt and .Response would write the header
// in every turn. Its policies are those of ChatTemplate, but Ollama itself joins messages
// of the same role. Where ChatTemplate raises an exception, this template uses a field
// that does not exist and whose name says what is wrong.
const OllamaTemplate = `{{- $system := "" }}{{ $due := "user" }}{{ "BEGINNING OF CONVERSATION: " }}
{{- range .Messages }}
{{- if eq .Role "system" }}{{ $system = print $system .Content "\n" }}
{{- else if ne .Role $due }}{{ $.Messages.KoalaTakesUserAndAssistantInAlternation }}
{{- else if eq .Role "user" }}{{ print "USER: " $system .Content " GPT:" }}{{ $system = "" }}{{ $due = "assistant" }}
{{- else }}{{ print " " .Content "</s>" }}{{ $due = "user" }}
{{- end }}
{{- end }}
{{- if $system }}{{ $.Messages.KoalaNeedsAUserTurnAfterASystemMessage }}{{ end }}`

// OllamaModelfile returns a Modelfile for Koala's weights. The argument is the value of
// its FROM line: a GGUF file or the name of a model. The parameters are those with which
// Koala was served: top_k 50, temperature 1, no top_p, no repeat penalty, and replies of
// at most 1,024 tokens.
func OllamaModelfile(from string) string {
	return strings.Join([]string{
		"FROM " + from,
		`TEMPLATE """` + OllamaTemplate + `"""`,
		`PARAMETER stop "` + EndText + `"`,
		`PARAMETER stop "` + KoalaMarkers.User + `"`,
		"PARAMETER temperature 1",
		"PARAMETER top_k 50",
		"PARAMETER top_p 1",
		"PARAMETER repeat_penalty 1",
		"PARAMETER num_predict 1024",
		"PARAMETER num_ctx 2048",
		"",
	}, "\n")
}
