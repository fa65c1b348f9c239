package caddymodule

import (
	"bytes"
	"encoding/json"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
)

// Every form of the configuration refuses an option that is given but empty: the
// value comes from an unset variable, and the option's default may be the
// opposite of the intended value.

// decodeGiven decodes a module's JSON into v as strictly as Caddy does. It
// refuses members that are given but empty, except those in mayBeEmpty.
func decodeGiven(raw []byte, v any, mayBeEmpty ...string) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	return exchange.CheckGiven(raw, mayBeEmpty...)
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *App) UnmarshalJSON(raw []byte) error {
	type plain App
	return decodeGiven(raw, (*plain)(a))
}

// UnmarshalJSON implements json.Unmarshaler. A prompt without settings is the
// default one, "after" without a condition is the first page, and matchers check
// their own values.
func (h *Handler) UnmarshalJSON(raw []byte) error {
	type plain Handler
	return decodeGiven(raw, (*plain)(h), "prompt", "after", "match.*")
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Prompt) UnmarshalJSON(raw []byte) error {
	type plain Prompt
	return decodeGiven(raw, (*plain)(p), "after")
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *BoltStorage) UnmarshalJSON(raw []byte) error {
	type plain BoltStorage
	return decodeGiven(raw, (*plain)(b))
}

// Interface guards
var (
	_ json.Unmarshaler = (*App)(nil)
	_ json.Unmarshaler = (*Handler)(nil)
	_ json.Unmarshaler = (*Prompt)(nil)
	_ json.Unmarshaler = (*BoltStorage)(nil)
)
