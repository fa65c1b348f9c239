// Package transfer reads and writes lists of push subscriptions as files: our
// own export, and what other push software gives away. It checks the form of a
// file and finds the fields; whether a subscription can be used is for the
// caller to say. It holds one record at a time, of bounded length.
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
	// FormatAuto finds out from the first bytes and the first record.
	FormatAuto Format = "auto"
	// FormatWebPush is JSON records with an endpoint and keys, in the shape of
	// PushSubscription.toJSON() (Push API §8.3) or with it as the member
	// "subscription": one a line, or in a list. Our own export is one of these.
	FormatWebPush Format = "web-push"
	// FormatOneSignal is the CSV that OneSignal exports, asked for with the
	// extra fields web_auth and web_p256.
	FormatOneSignal Format = "onesignal"
	// FormatFirebase is JSON records of Firebase's client: a token with the
	// subscription beside it, under "subscriptionOptions" (its IndexedDB) or
	// "web" (its registration request).
	FormatFirebase Format = "firebase"
	// FormatCSV is a table with the columns endpoint, p256dh and auth.
	FormatCSV Format = "csv"
)

// Formats lists all of them.
func Formats() []Format {
	return []Format{FormatAuto, FormatWebPush, FormatOneSignal, FormatFirebase, FormatCSV}
}

// ParseFormat gives the format of a name; the empty one is FormatAuto.
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
	return "", fmt.Errorf("is none of %s", strings.Join(names, ", "))
}

// MaxRecord is the most bytes that one record may have.
const MaxRecord = 64 << 10

// Record is one subscription as a file has it. Nothing in it has been checked.
// Endpoint, P256DH and Auth are secrets.
type Record struct {
	// Line is where it begins, from 1.
	Line int
	// Endpoint and the keys, in base64url, are as in PushSubscription.
	Endpoint, P256DH, Auth string
	// Key is the VAPID public key that it was made with, where the file says.
	Key string
	// Expiration, Created and Seen are zero where the file does not say.
	Expiration, Created, Seen time.Time
	// Language is a BCP 47 tag, TimeZone an IANA name, Page a path.
	Language, TimeZone, Page string
	// Topics are ids; nil where the file does not say.
	Topics []string
	// Skip says why the record is not for importing, though nothing is wrong
	// with it: "unsubscribed", or "another channel" such as e-mail.
	Skip string
}

// RecordError is a fault in one record; the next one can be read all the same.
// Its text never holds a value of the file.
type RecordError struct {
	// Line is where the record begins, from 1.
	Line int
	// Field is the member or column at fault, or empty.
	Field string
	// Problem says what is wrong and, where there is one, the cure.
	Problem string
}

func (e *RecordError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Problem)
	}
	return fmt.Sprintf("line %d: %s: %s", e.Line, e.Field, e.Problem)
}

// FormatError says that the file is none that can be read.
type FormatError struct{ Problem string }

func (e *FormatError) Error() string { return e.Problem }

func formatError(format string, args ...any) error {
	return &FormatError{fmt.Sprintf(format, args...)}
}
