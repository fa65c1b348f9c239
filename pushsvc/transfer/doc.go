// Package transfer reads and writes lists of push subscriptions as files: our own export, and those of other
// push software. It checks the form of a file and finds the fields; the caller decides whether a subscription
// is usable. It holds one record at a time, of bounded length.
package transfer

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Format is the kind of a file.
type Format string

// The formats.
const (
	// FormatAuto detects the format from the first bytes and the first record.
	FormatAuto Format = "auto"
	// FormatWebPush is JSON records with an endpoint and keys, in the shape of PushSubscription.toJSON()
	// (Push API §8.3) or with it as the member "subscription": one per line, or in a list. Our own export is
	// one of these.
	FormatWebPush Format = "web-push"
	// FormatOneSignal is OneSignal's CSV export with the extra fields web_auth and web_p256.
	FormatOneSignal Format = "onesignal"
	// FormatFirebase is JSON records of Firebase's client: a token and the subscription, under
	// "subscriptionOptions" (its IndexedDB) or "web" (its registration request).
	FormatFirebase Format = "firebase"
	// FormatCSV is a table with the columns endpoint, p256dh and auth.
	FormatCSV Format = "csv"
)

// Formats returns all formats.
func Formats() []Format {
	return []Format{FormatAuto, FormatWebPush, FormatOneSignal, FormatFirebase, FormatCSV}
}

// ParseFormat returns the format of a name; the empty name is FormatAuto.
func ParseFormat(name string) (Format, error) {
	if name == "" {
		return FormatAuto, nil
	}
	if f := Format(name); slices.Contains(Formats(), f) {
		return f, nil
	}
	var names []string
	for _, f := range Formats() {
		names = append(names, string(f))
	}
	return "", fmt.Errorf("is not one of %s", strings.Join(names, ", "))
}

// MaxRecord is the maximum length of a record in bytes.
const MaxRecord = 64 << 10

// Record is one subscription as a file has it, unchecked. Endpoint, P256DH and Auth are secrets.
type Record struct {
	// Line is where the record begins, from 1.
	Line int
	// Endpoint and the keys, in base64url, are as in PushSubscription.
	Endpoint, P256DH, Auth string
	// Key is the VAPID public key of the subscription; may be empty.
	Key string
	// Expiration, Created and Seen are zero if the file lacks them.
	Expiration, Created, Seen time.Time
	// Language is a BCP 47 tag, TimeZone an IANA name, Page a path.
	Language, TimeZone, Page string
	// Topics are ids; nil if the file lacks them.
	Topics []string
	// Skip is why a valid record is not imported: "unsubscribed", or "another channel" such as e-mail.
	Skip string
}

// RecordError is a fault in one record; reading can go on with the next one. Its text never has a value of
// the file.
type RecordError struct {
	// Line is where the record begins, from 1.
	Line int
	// Field is the wrong member or column; may be empty.
	Field string
	// Problem is what is wrong and, if possible, the cure.
	Problem string
}

func (e *RecordError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Problem)
	}
	return fmt.Sprintf("line %d: %s: %s", e.Line, e.Field, e.Problem)
}

// FormatError means that the file has an unknown or unexpected format.
type FormatError struct{ Problem string }

func (e *FormatError) Error() string { return e.Problem }

func formatError(format string, args ...any) error {
	return &FormatError{fmt.Sprintf(format, args...)}
}
