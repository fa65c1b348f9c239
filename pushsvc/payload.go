package pushsvc

import (
	"bytes"
	"cmp"
	"encoding/json"
)

// Payload is the plaintext of a push message, as the worker reads it. Its notification member has the shape
// of Declarative Web Push (Push API §3.3) without the "web_push" member, so that no browser bypasses the
// worker.
type Payload struct {
	ID           string              `json:"id"`
	Token        string              `json:"token"`
	Notification PayloadNotification `json:"notification"`
}

// PayloadNotification is the notification of a [Payload].
type PayloadNotification struct {
	Title              string          `json:"title"`
	Navigate           string          `json:"navigate,omitempty"`
	Body               string          `json:"body,omitempty"`
	Icon               string          `json:"icon,omitempty"`
	Image              string          `json:"image,omitempty"`
	Badge              string          `json:"badge,omitempty"`
	Tag                string          `json:"tag,omitempty"`
	Dir                string          `json:"dir,omitempty" api:"oneof=auto|ltr|rtl"`
	Lang               string          `json:"lang,omitempty"`
	Vibrate            []int           `json:"vibrate,omitempty"`
	Timestamp          int64           `json:"timestamp,omitempty"`
	Renotify           bool            `json:"renotify,omitempty"`
	Silent             bool            `json:"silent,omitempty"`
	RequireInteraction bool            `json:"requireInteraction,omitempty"`
	Data               json.RawMessage `json:"data,omitempty"`
	Actions            []PayloadAction `json:"actions,omitempty"`
}

// PayloadAction is a button of a [PayloadNotification].
type PayloadAction struct {
	Action   string `json:"action"`
	Title    string `json:"title"`
	Navigate string `json:"navigate,omitempty"`
	Icon     string `json:"icon,omitempty"`
}

// AppendPayload appends the plaintext for one recipient: the message's id, the recipient's receipt token and
// the notification. The default tag is the message's id: if the message arrives twice, it replaces itself
// instead of being shown twice. Content must be valid.
func AppendPayload(dst []byte, id, token string, c *Content) []byte {
	n := PayloadNotification{
		Title: c.Title, Navigate: c.URL, Body: c.Body, Icon: c.Icon, Image: c.Image, Badge: c.Badge,
		Tag: cmp.Or(c.Tag, id), Dir: c.Dir, Lang: c.Lang, Vibrate: c.Vibrate, Timestamp: c.Timestamp,
		Renotify: c.Renotify, Silent: c.Silent, RequireInteraction: c.RequireInteraction, Data: c.Data,
	}
	for _, a := range c.Actions {
		n.Actions = append(n.Actions, PayloadAction{a.Action, a.Title, a.URL, a.Icon})
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	// HTML escaping would cost five bytes for each "&" of a URL.
	enc.SetEscapeHTML(false)
	if err := enc.Encode(Payload{id, token, n}); err != nil {
		// Only data can fail, and Validate has checked it.
		panic("pushsvc: encoding a payload of valid content: " + err.Error())
	}
	return append(dst, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}
