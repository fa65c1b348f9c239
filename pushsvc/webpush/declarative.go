package webpush

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
)

// declarativeMagic is the required value of "web_push" (Push API §3.3.1, after RFC 8030).
const declarativeMagic = 8030

// DeclarativeError is why a payload cannot be a declarative push message. It can still be sent as it is, to a
// service worker.
type DeclarativeError struct {
	Field   string // "notification.navigate"
	Problem string
}

// Error implements error.
func (e *DeclarativeError) Error() string { return "declarative push: " + e.Field + " " + e.Problem }

// Declarative turns a payload into a declarative push message (Push API §3.3; Safari 18.4). The payload is a
// JSON object with a member "notification" in the shape of Notification options with "title" and "navigate".
//
//   - It adds "web_push", makes URLs absolute against base (the https URL of the site), and removes
//     combinations that the specification forbids. Other members stay as they are.
//   - mutable lets a service worker change the notification first, at the price of waking it.
//   - It is for ServiceApple: Apple's browsers show such messages themselves, even after the web app's worker
//     was removed, and never count them as silent pushes.
//   - WebKit treats a message with any mistake as an opaque one, so everything is checked; the error is a
//     *DeclarativeError.
func Declarative(payload []byte, base string, mutable bool) ([]byte, error) {
	site, err := url.Parse(base)
	if err != nil || site.Scheme != "https" || site.Host == "" {
		return nil, &DeclarativeError{"base", "is not an https URL"}
	}
	var message, notification map[string]json.RawMessage
	if err := json.Unmarshal(payload, &message); err != nil || message == nil {
		return nil, &DeclarativeError{"payload", "is not a JSON object"}
	}
	if err := json.Unmarshal(message["notification"], &notification); err != nil || notification == nil {
		return nil, &DeclarativeError{"notification", "is not an object"}
	}
	if err := checkDeclarative(notification, site); err != nil {
		return nil, err
	}
	message["web_push"] = json.RawMessage(fmt.Sprint(declarativeMagic))
	delete(message, "mutable")
	delete(notification, "mutable")
	if mutable {
		// WebKit read it from the inner object until August 2025.
		message["mutable"], notification["mutable"] = json.RawMessage("true"), json.RawMessage("true")
	}
	if err := badge(message, notification); err != nil {
		return nil, err
	}
	if message["notification"], err = encodeJSON(notification); err != nil {
		return nil, err
	}
	return encodeJSON(message)
}

// checkDeclarative checks a notification and corrects what it can.
func checkDeclarative(n map[string]json.RawMessage, site *url.URL) error {
	for _, name := range []string{"title", "navigate"} {
		if text, ok := jsonString(n[name]); !ok || text == "" {
			return &DeclarativeError{"notification." + name, "is missing or not a text"}
		}
	}
	for _, name := range []string{"lang", "body", "tag", "dir"} {
		if _, ok := jsonString(n[name]); n[name] != nil && !ok {
			return &DeclarativeError{"notification." + name, "is not a text"}
		}
	}
	if dir, ok := jsonString(n["dir"]); ok && !slices.Contains([]string{"auto", "ltr", "rtl"}, dir) {
		return &DeclarativeError{"notification.dir", `is not "auto", "ltr" or "rtl"`}
	}
	for _, name := range []string{"renotify", "silent", "requireInteraction"} {
		if v := string(n[name]); v != "" && v != "true" && v != "false" {
			return &DeclarativeError{"notification." + name, "is neither true nor false"}
		}
	}
	if string(n["silent"]) == "true" {
		delete(n, "vibrate") // together they cause a TypeError
	}
	if tag, _ := jsonString(n["tag"]); tag == "" {
		delete(n, "renotify") // without a tag, this causes one too
	}
	if err := resolveURLs(n, site, "notification.", "navigate", "icon", "image", "badge"); err != nil {
		return err
	}
	return checkActions(n, site)
}

// checkActions makes sure that each button has a URL: the default is the notification's.
func checkActions(n map[string]json.RawMessage, site *url.URL) error {
	if n["actions"] == nil {
		return nil
	}
	var actions []map[string]json.RawMessage
	if err := json.Unmarshal(n["actions"], &actions); err != nil {
		return &DeclarativeError{"notification.actions", "is not a list of objects"}
	}
	for i, a := range actions {
		at := fmt.Sprintf("notification.actions[%d].", i)
		for _, name := range []string{"action", "title"} {
			if text, ok := jsonString(a[name]); !ok || text == "" {
				return &DeclarativeError{at + name, "is missing or not a text"}
			}
		}
		if a["navigate"] == nil {
			a["navigate"] = n["navigate"]
		}
		if err := resolveURLs(a, site, at, "navigate", "icon"); err != nil {
			return err
		}
	}
	var err error
	n["actions"], err = encodeJSON(actions)
	return err
}

// resolveURLs turns members into absolute http or https URLs.
func resolveURLs(object map[string]json.RawMessage, site *url.URL, at string, names ...string) error {
	for _, name := range names {
		if object[name] == nil {
			continue
		}
		text, ok := jsonString(object[name])
		if !ok {
			return &DeclarativeError{at + name, "is not a text"}
		}
		u, err := site.Parse(text)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return &DeclarativeError{at + name, "is not an http or https URL"}
		}
		if object[name], err = encodeJSON(u.String()); err != nil {
			return err
		}
	}
	return nil
}

// badge writes "app_badge" to both of its places: it moved out of the notification in May 2025.
func badge(message, notification map[string]json.RawMessage) error {
	value := message["app_badge"]
	if value == nil {
		value = notification["app_badge"]
	}
	if value == nil {
		return nil
	}
	var count uint64
	if err := json.Unmarshal(value, &count); err != nil {
		return &DeclarativeError{"app_badge", "is not a whole number from 0 up"}
	}
	message["app_badge"] = value
	// Safari 18.4 expects text here.
	notification["app_badge"] = json.RawMessage(fmt.Sprintf("%q", fmt.Sprint(count)))
	return nil
}

func jsonString(raw json.RawMessage) (text string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	err := json.Unmarshal(raw, &text)
	return text, err == nil
}

// encodeJSON is json.Marshal without escapes for HTML, which would cost five bytes for each "&" of a URL.
func encodeJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding a declarative message: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
