package caddymodule

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
)

// replaced returns the option's value with its placeholders replaced. An unknown
// or empty placeholder, such as {env.NAME} of an unset variable, is an
// *optionError.
func replaced(option, value string) (string, error) {
	v, err := caddy.NewReplacer().ReplaceOrErr(value, true, true)
	if err != nil {
		return "", &optionError{option, fmt.Sprintf("%q: %v; set the variable that it is read from, or leave the option out", value, err)}
	}
	return v, nil
}

// expand replaces placeholders, such as {env.NAME}, in the texts that visitors
// see. An empty one is an *optionError; braces that are not a placeholder stay.
func (h *Handler) expand() error {
	texts := map[string]*string{"name": &h.Name}
	if p := h.Prompt; p != nil {
		texts["title"], texts["body"], texts["accept"], texts["reject"] = &p.Title, &p.Body, &p.Accept, &p.Reject
		for i := range p.Topics {
			texts["topics "+p.Topics[i].ID] = &p.Topics[i].Label
		}
	}
	for option, text := range texts {
		v, err := caddy.NewReplacer().ReplaceOrErr(*text, true, false)
		if err != nil {
			return &optionError{option, fmt.Sprintf("%q: %v; set the variable that it is read from, or leave the option out", *text, err)}
		}
		*text = v
	}
	return nil
}
