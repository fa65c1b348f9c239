package pushsvc_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

func ptr(n int) *int { return &n }

// full is content that uses every field.
func full() pushsvc.Content {
	return pushsvc.Content{
		Title: "Sale", Body: "Now on", URL: "/sale?x=1&y=<2>", Icon: "https://cdn.example/i.png", Image: "/big.png", Badge: "/b.png",
		Tag: "sale", Dir: "rtl", Lang: "pt-BR", Data: json.RawMessage(`{"k":[1,"\u2028"]}`), Vibrate: []int{0, 10000}, Timestamp: 1,
		Actions:  []pushsvc.Action{{Action: "buy", Title: "Buy", URL: "/buy", Icon: "/x.png"}, {Action: "later", Title: "Later"}},
		Renotify: true, RequireInteraction: true, TTL: ptr(0), Urgency: pushsvc.UrgencyHigh, Topic: "sale_2026-11",
	}
}

func TestContentValid(t *testing.T) {
	for name, change := range map[string]func(*pushsvc.Content){
		"full":              func(*pushsvc.Content) {},
		"title alone":       func(c *pushsvc.Content) { *c = pushsvc.Content{Title: "x"} },
		"ttl most":          func(c *pushsvc.Content) { c.TTL = ptr(pushsvc.MaxTTL) },
		"ttl default":       func(c *pushsvc.Content) { c.TTL = nil },
		"topic longest":     func(c *pushsvc.Content) { c.Topic = strings.Repeat("-", pushsvc.MaxTopic) },
		"silent":            func(c *pushsvc.Content) { c.Silent, c.Vibrate = true, nil },
		"four actions":      func(c *pushsvc.Content) { c.Actions = actions(pushsvc.MaxActions) },
		"url http":          func(c *pushsvc.Content) { c.URL = "http://shop.example.com:8080/a#b" },
		"url IPv6":          func(c *pushsvc.Content) { c.URL = "https://[::1]/" },
		"url international": func(c *pushsvc.Content) { c.URL = "https://bücher.example/ü?ü" },
		"url in caps":       func(c *pushsvc.Content) { c.URL = "HTTPS://shop.example.com/" },
		"data null":         func(c *pushsvc.Content) { c.Data = json.RawMessage(`null`) },
		"timestamp last":    func(c *pushsvc.Content) { c.Timestamp = 8_640_000_000_000_000 },
		"emoji":             func(c *pushsvc.Content) { c.Title = "🎉 \u0000 </script>" },
	} {
		c := full()
		change(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func actions(n int) (all []pushsvc.Action) {
	for i := range n {
		all = append(all, pushsvc.Action{Action: fmt.Sprint(i), Title: "Go"})
	}
	return all
}

func TestContentInvalid(t *testing.T) {
	for _, tt := range []struct {
		field  string
		change func(*pushsvc.Content)
	}{
		{"title", func(c *pushsvc.Content) { c.Title = "" }},
		{"title", func(c *pushsvc.Content) { c.Title = " \t\n\u00a0" }},
		{"title", func(c *pushsvc.Content) { c.Title = "a\xff" }},
		{"body", func(c *pushsvc.Content) { c.Body = "a\xff" }},
		{"message", func(c *pushsvc.Content) { c.Body = strings.Repeat("x", pushsvc.MaxPayload) }},
		{"tag", func(c *pushsvc.Content) { c.Tag = strings.Repeat("x", pushsvc.MaxTag+1) }},
		{"tag", func(c *pushsvc.Content) { c.Tag = "\xff" }},
		{"lang", func(c *pushsvc.Content) { c.Lang = "de_DE" }},
		{"lang", func(c *pushsvc.Content) { c.Lang = "de--DE" }},
		{"lang", func(c *pushsvc.Content) { c.Lang = "englishes" }},
		{"lang", func(c *pushsvc.Content) { c.Lang = "a\r\nb" }},
		{"url", func(c *pushsvc.Content) { c.URL = "javascript:alert(1)" }},
		{"url", func(c *pushsvc.Content) { c.URL = "data:text/html,x" }},
		{"url", func(c *pushsvc.Content) { c.URL = "//evil.example/" }},
		{"url", func(c *pushsvc.Content) { c.URL = `/\evil.example/` }},
		{"url", func(c *pushsvc.Content) { c.URL = "/\tevil" }},
		{"url", func(c *pushsvc.Content) { c.URL = " /x" }},
		{"url", func(c *pushsvc.Content) { c.URL = "x" }},
		{"url", func(c *pushsvc.Content) { c.URL = "?x" }},
		{"url", func(c *pushsvc.Content) { c.URL = "https:///x" }},
		{"url", func(c *pushsvc.Content) { c.URL = "https:x" }},
		{"url", func(c *pushsvc.Content) { c.URL = "https://:443/" }},
		{"url", func(c *pushsvc.Content) { c.URL = "https://a@b.example/" }},
		{"url", func(c *pushsvc.Content) { c.URL = "https://a:b@b.example/" }},
		{"url", func(c *pushsvc.Content) { c.URL = "/%zz" }},
		{"url", func(c *pushsvc.Content) { c.URL = "/\xff" }},
		{"url", func(c *pushsvc.Content) { c.URL = "/" + strings.Repeat("x", 2048) }},
		{"icon", func(c *pushsvc.Content) { c.Icon = "blob:https://a.example/x" }},
		{"image", func(c *pushsvc.Content) { c.Image = "file:///etc/passwd" }},
		{"badge", func(c *pushsvc.Content) { c.Badge = "vbscript:x" }},
		{"actions", func(c *pushsvc.Content) { c.Actions = actions(pushsvc.MaxActions + 1) }},
		{"actions[0].action", func(c *pushsvc.Content) { c.Actions[0].Action = "" }},
		{"actions[1].action", func(c *pushsvc.Content) { c.Actions[1].Action = "buy" }},
		{"actions[1].action", func(c *pushsvc.Content) { c.Actions[1].Action = strings.Repeat("x", pushsvc.MaxActionID+1) }},
		{"actions[1].title", func(c *pushsvc.Content) { c.Actions[1].Title = " " }},
		{"actions[1].title", func(c *pushsvc.Content) { c.Actions[1].Title = "\xff" }},
		{"actions[1].url", func(c *pushsvc.Content) { c.Actions[1].URL = "javascript:x" }},
		{"actions[0].icon", func(c *pushsvc.Content) { c.Actions[0].Icon = "x" }},
		{"dir", func(c *pushsvc.Content) { c.Dir = "LTR" }},
		{"renotify", func(c *pushsvc.Content) { c.Tag = "" }},
		{"vibrate", func(c *pushsvc.Content) { c.Silent = true }},
		{"vibrate", func(c *pushsvc.Content) { c.Vibrate = make([]int, pushsvc.MaxVibrate+1) }},
		{"vibrate[1]", func(c *pushsvc.Content) { c.Vibrate[1]++ }},
		{"vibrate[0]", func(c *pushsvc.Content) { c.Vibrate[0] = -1 }},
		{"timestamp", func(c *pushsvc.Content) { c.Timestamp = -1 }},
		{"timestamp", func(c *pushsvc.Content) { c.Timestamp = 8_640_000_000_000_001 }},
		{"data", func(c *pushsvc.Content) { c.Data = json.RawMessage(`{`) }},
		{"data", func(c *pushsvc.Content) { c.Data = json.RawMessage("\"\xff\"") }},
		{"data", func(c *pushsvc.Content) { c.Data = json.RawMessage(`1 2`) }},
		{"ttl", func(c *pushsvc.Content) { c.TTL = ptr(-1) }},
		{"ttl", func(c *pushsvc.Content) { c.TTL = ptr(pushsvc.MaxTTL + 1) }},
		{"urgency", func(c *pushsvc.Content) { c.Urgency = "High" }},
		{"topic", func(c *pushsvc.Content) { c.Topic = "a\r\nX: y" }},
		{"topic", func(c *pushsvc.Content) { c.Topic = "a.b" }},
		{"topic", func(c *pushsvc.Content) { c.Topic = strings.Repeat("x", pushsvc.MaxTopic+1) }},
	} {
		c := full()
		tt.change(&c)
		err := c.Validate()
		var field *pushsvc.FieldError
		if !errors.As(err, &field) || field.Field != tt.field || field.Problem == "" {
			t.Errorf("%+v: %v; want an error of %q", c, err, tt.field)
		}
	}
}

// TestContentSize: the largest valid content fits with the longest token; one byte more is refused.
func TestContentSize(t *testing.T) {
	c := pushsvc.Content{Title: "x", Body: ""}
	for c.Validate() == nil {
		c.Body += "&" // no escaping: one byte each
	}
	c.Body = c.Body[1:]
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	n := len(pushsvc.AppendPayload(nil, messageID, strings.Repeat("x", pushsvc.MaxReceiptToken), &c))
	if n != pushsvc.MaxPayload {
		t.Errorf("the largest content makes %d bytes, not %d", n, pushsvc.MaxPayload)
	}
}

// FuzzContent: valid content can be sent to every recipient.
func FuzzContent(f *testing.F) {
	seed, _ := json.Marshal(full())
	f.Add(seed)
	f.Add([]byte(`{"title":"x","data":[[]],"ttl":0,"url":"/\u2028"}`))
	f.Add([]byte(`{"title":"\ud800","body":"\u0000","url":"https://[::1]:0/"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var c pushsvc.Content
		if json.Unmarshal(text, &c) != nil || c.Validate() != nil {
			return
		}
		raw := pushsvc.AppendPayload([]byte("before"), messageID, strings.Repeat("_", pushsvc.MaxReceiptToken), &c)
		p, found := strings.CutPrefix(string(raw), "before")
		if !found || !json.Valid([]byte(p)) || len(p) > pushsvc.MaxPayload {
			t.Fatalf("%d bytes of payload: %s", len(p), p)
		}
		var got struct {
			ID, Token    string
			Notification struct{ Title, Navigate string }
		}
		if err := json.Unmarshal([]byte(p), &got); err != nil {
			t.Fatal(err)
		}
		if got.ID != messageID || got.Notification.Title != c.Title || got.Notification.Navigate != c.URL {
			t.Errorf("payload %s of %+v", p, c)
		}
	})
}

// TestContentSizeSaysRoom: who follows what the error says of title and body has a
// message that fits, to the byte.
func TestContentSizeSaysRoom(t *testing.T) {
	c := pushsvc.Content{Title: "Sale", Body: strings.Repeat("x", pushsvc.MaxPayload), URL: "https://shop.example.com/sale", Data: json.RawMessage(`{"a":1}`)}
	var field *pushsvc.FieldError
	if err := c.Validate(); !errors.As(err, &field) {
		t.Fatal(err)
	}
	var over, all, have, room int
	if _, err := fmt.Sscanf(field.Problem, "is %d bytes too long: all fields together may have %d bytes as JSON; title and body have %d and may have %d beside the others", &over, &all, &have, &room); err != nil {
		t.Fatalf("%v: %s", err, field.Problem)
	}
	if have != len(c.Title)+len(c.Body) || have-room != over {
		t.Errorf("%s: title and body have %d", field.Problem, len(c.Title)+len(c.Body))
	}
	c.Body = strings.Repeat("x", room-len(c.Title))
	if err := c.Validate(); err != nil {
		t.Errorf("with %d bytes: %v", room, err)
	}
	c.Body += "x"
	if err := c.Validate(); err == nil {
		t.Errorf("%d bytes are too many", room+1)
	}
	c.Data = json.RawMessage(`"` + strings.Repeat("x", pushsvc.MaxPayload) + `"`)
	if err := c.Validate(); !errors.As(err, &field) || !strings.Contains(field.Problem, "shorten the URLs, the actions or data") {
		t.Errorf("with data that is too long: %v", err)
	}
}
