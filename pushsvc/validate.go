package pushsvc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds on a message's content. MaxPayload is what every push service accepts (Mozilla's bridge to Android
// refuses more; RFC 8030 §7.2 promises 4,096 bytes of ciphertext).
const (
	MaxPayload    = 2800 // bytes of JSON before encryption
	MaxActions    = 4    // browsers show two or three
	MaxActionID   = 64
	MaxVibrate    = 32    // entries
	MaxVibration  = 10000 // ms per entry
	MaxTopic      = 32    // RFC 8030 §5.4
	MaxTag        = 256
	maxContentURL = 2048
)

// Validate returns a *FieldError that names the wrong field and its cure; nil if the content can be sent.
func (c *Content) Validate() error {
	for _, check := range []func() error{
		c.validateTexts, c.validateURLs, c.validateActions, c.validateOptions, c.validateTransport,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Content) validateTexts() error {
	if strings.TrimSpace(c.Title) == "" {
		return &FieldError{"title", "is missing: a notification needs a title"}
	}
	for _, f := range []struct{ name, value string }{
		{"title", c.Title}, {"body", c.Body}, {"tag", c.Tag}, {"lang", c.Lang},
	} {
		if !utf8.ValidString(f.value) {
			return &FieldError{f.name, "is not valid UTF-8"}
		}
	}
	if len(c.Tag) > MaxTag {
		return &FieldError{"tag", fmt.Sprintf("is longer than %d bytes", MaxTag)}
	}
	if !IsLanguage(c.Lang) {
		return &FieldError{"lang", `is not a BCP 47 language tag such as "en" or "pt-BR"`}
	}
	return nil
}

func (c *Content) validateURLs() error {
	for _, f := range []struct{ name, value string }{
		{"url", c.URL}, {"icon", c.Icon}, {"image", c.Image}, {"badge", c.Badge},
	} {
		if err := CheckURL(f.name, f.value); err != nil {
			return err
		}
	}
	return nil
}

func (c *Content) validateActions() error {
	if len(c.Actions) > MaxActions {
		return &FieldError{"actions", fmt.Sprintf("has more than %d entries", MaxActions)}
	}
	seen := make(map[string]bool, len(c.Actions))
	for i, a := range c.Actions {
		at := fmt.Sprintf("actions[%d].", i)
		switch {
		case a.Action == "":
			return &FieldError{at + "action", "is missing: it names the button in click reports"}
		case len(a.Action) > MaxActionID || !utf8.ValidString(a.Action):
			return &FieldError{at + "action", fmt.Sprintf("is longer than %d bytes or not UTF-8", MaxActionID)}
		case seen[a.Action]:
			return &FieldError{at + "action", "is used by an earlier button"}
		case strings.TrimSpace(a.Title) == "" || !utf8.ValidString(a.Title):
			return &FieldError{at + "title", "is missing: it is the button's text"}
		}
		seen[a.Action] = true
		if err := CheckURL(at+"url", a.URL); err != nil {
			return err
		}
		if err := CheckURL(at+"icon", a.Icon); err != nil {
			return err
		}
	}
	return nil
}

// validateOptions refuses combinations for which showNotification throws a TypeError (Notifications API
// §2.4): the visitor would see nothing.
func (c *Content) validateOptions() error {
	if !slices.Contains([]string{"", "auto", "ltr", "rtl"}, c.Dir) {
		return &FieldError{"dir", `is not one of "auto", "ltr", "rtl"`}
	}
	if c.Renotify && c.Tag == "" {
		return &FieldError{"renotify", "needs a tag: only a notification that replaces another can alert again"}
	}
	if c.Silent && len(c.Vibrate) > 0 {
		return &FieldError{"vibrate", "can't be combined with silent"}
	}
	if len(c.Vibrate) > MaxVibrate {
		return &FieldError{"vibrate", fmt.Sprintf("has more than %d entries", MaxVibrate)}
	}
	for i, ms := range c.Vibrate {
		if ms < 0 || ms > MaxVibration {
			return &FieldError{fmt.Sprintf("vibrate[%d]", i), fmt.Sprintf("is not between 0 and %d ms", MaxVibration)}
		}
	}
	// 8.64e15 ms is the last time that a JavaScript Date can hold.
	if c.Timestamp < 0 || c.Timestamp > 8_640_000_000_000_000 {
		return &FieldError{"timestamp", "is not a number of milliseconds since 1970"}
	}
	if len(c.Data) > 0 && (!json.Valid(c.Data) || !utf8.Valid(c.Data)) {
		return &FieldError{"data", "is not JSON"}
	}
	return nil
}

func (c *Content) validateTransport() error {
	if ttl := c.TTLSeconds(); ttl < 0 || ttl > MaxTTL {
		return &FieldError{"ttl", fmt.Sprintf("is not between 0 and %d seconds (28 days)", MaxTTL)}
	}
	switch c.Urgency {
	case "", UrgencyVeryLow, UrgencyLow, UrgencyNormal, UrgencyHigh:
	default:
		return &FieldError{"urgency", `is not one of "very-low", "low", "normal", "high"`}
	}
	if len(c.Topic) > MaxTopic || strings.Trim(c.Topic, base64URLAlphabet) != "" {
		return &FieldError{"topic", fmt.Sprintf("is not at most %d characters of A–Z, a–z, 0–9, - and _ (RFC 8030 section 5.4)", MaxTopic)}
	}
	return c.validateSize()
}

// validateSize limits the whole payload. The error names the bytes that title and body
// may have beside the other fields, since people shorten those two.
func (c *Content) validateSize() error {
	// The longest token is used for all recipients, so that a message fits for all or is refused here.
	size := func(c *Content) int {
		return len(AppendPayload(nil, strings.Repeat("0", 36), strings.Repeat("0", MaxReceiptToken), c))
	}
	n := size(c)
	if n <= MaxPayload {
		return nil
	}
	short := *c
	short.Title = "0"
	if c.Body != "" {
		short.Body = "0"
	}
	others := size(&short) - len(short.Title) - len(short.Body)
	problem := fmt.Sprintf("is %d bytes too long: all fields together may have %d bytes as JSON; ", n-MaxPayload, MaxPayload)
	if room := MaxPayload - others; room > 0 {
		return &FieldError{"message", problem + fmt.Sprintf("title and body have %d and may have %d beside the others", n-others, room)}
	}
	return &FieldError{"message", problem + fmt.Sprintf("without title and body it has %d: shorten the URLs, the actions or data", others)}
}

const base64URLAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// CheckURL checks where a notification may point to: nowhere, to a path on the site, or to an absolute
// http(s) URL. Anything else (javascript:, data:, //host) could run code or leave the site unnoticed.
func CheckURL(field, s string) error {
	if s == "" {
		return nil
	}
	bad := func(why string) error {
		return &FieldError{field, why + `: give a full URL such as "https://shop.example.com/sale" or a path such as "/sale"`}
	}
	if len(s) > maxContentURL {
		return bad(fmt.Sprintf("is longer than %d bytes", maxContentURL))
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f || s[i] == '\\' {
			return bad("has a space, a backslash or a control character")
		}
	}
	if !utf8.ValidString(s) {
		return bad("is not valid UTF-8")
	}
	u, err := url.Parse(s)
	if err != nil {
		return bad("is not a URL")
	}
	if u.User != nil {
		return bad("carries a user name or password")
	}
	if strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") {
		return nil
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return bad("is neither http(s) nor a path")
	}
	return nil
}

func IsLanguage(s string) bool {
	if s == "" {
		return true
	}
	if len(s) > MaxLanguage {
		return false
	}
	for part := range strings.SplitSeq(s, "-") {
		if part == "" || len(part) > 8 || strings.Trim(part, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return false
		}
	}
	return true
}

// CleanOrigin drops invalid optional parts of a subscription: a strange time zone is no reason to lose a
// subscriber.
func (s *Subscription) CleanOrigin() {
	if !IsLanguage(s.Language) {
		s.Language = ""
	}
	// Only the form is checked: readers know which zones exist, and this machine may have no time zone
	// database.
	if len(s.TimeZone) > MaxTimeZone || strings.Trim(s.TimeZone, base64URLAlphabet+"+/") != "" {
		s.TimeZone = ""
	}
	s.Page = cleanPage(s.Page)
}

// cleanPage keeps only the path: query strings have what people typed.
func cleanPage(page string) string {
	u, err := url.Parse(page)
	if err != nil || len(page) > MaxPage || !utf8.ValidString(page) || bytes.ContainsRune([]byte(page), 0) {
		return ""
	}
	return u.EscapedPath()
}
