package transfer

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"strings"
)

// csvColumns is the header of our own table. Import reads it.
var csvColumns = []string{"endpoint", "p256dh", "auth", "applicationServerKey", "language", "timezone", "page", "topics", "created", "seen", "expirationTime"}

// AppendHeader appends the header line for AppendRow.
func AppendHeader(dst []byte) []byte { return appendCSV(dst, csvColumns) }

// AppendRow appends the record as one line of a table (RFC 4180, with LF).
// Topics are separated by spaces; a subscriber who has chosen no topic has "-",
// one who was never asked an empty field. Times are as in AppendRecord.
func AppendRow(dst []byte, r Record) []byte {
	expiration := ""
	if !r.Expiration.IsZero() {
		expiration = strconv.FormatInt(r.Expiration.UnixMilli(), 10)
	}
	topics := strings.Join(r.Topics, " ")
	if r.Topics != nil && topics == "" {
		topics = noTopics
	}
	return appendCSV(dst, []string{
		r.Endpoint, r.P256DH, r.Auth, r.Key, r.Language, r.TimeZone, r.Page, topics,
		formatMoment(r.Created), formatMoment(r.Seen), expiration,
	})
}

// noTopics is a choice of no topic.
const noTopics = "-"

// parseTopics reads a table's topics: ids between spaces, commas or semicolons.
func parseTopics(s string) []string {
	switch s {
	case "":
		return nil
	case noTopics:
		return []string{}
	}
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,;|", r) })
}

func appendCSV(dst []byte, fields []string) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(fields) // to memory
	w.Flush()
	return append(dst, b.Bytes()...)
}
