package transfer

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// columns are the names that a column may have, by what it holds. The first
// ones are OneSignal's.
var columns = map[string][]string{
	"endpoint":     {"identifier", "endpoint", "push_token", "token"},
	"auth":         {"web_auth", "auth", "auth_key", "keys.auth"},
	"p256dh":       {"web_p256", "p256dh", "p256", "web_p256dh", "p256dh_key", "keys.p256dh"},
	"language":     {"language", "lang", "locale"},
	"zone":         {"timezone_id", "time_zone", "timezone"},
	"created":      {"created_at", "created"},
	"seen":         {"last_active", "last_seen", "seen", "updated_at"},
	"invalid":      {"invalid_identifier", "unsubscribed"},
	"subscribed":   {"subscribed", "enabled"},
	"types":        {"notification_types"},
	"device":       {"device_type"},
	"key":          {"applicationserverkey", "application_server_key", "vapid_public_key", "vapid_key", "vapidkey"},
	"expiration":   {"expirationtime", "expiration_time"},
	"subscription": {"subscription"},
	"page":         {"page"},
}

// webDevices are OneSignal's device types that are browsers: Chrome, old
// Safari, Firefox, Safari, Edge and, as newer exports write them, their names.
var webDevices = []string{"5", "7", "8", "17", "12", "chromepush", "firefoxpush", "safaripush", "safarilegacypush", "windowpush", "edgepush"}

// table reads CSV.
type table struct {
	csv    *csv.Reader
	budget *budget
	at     map[string]int
	width  int
	offset int // lines before the header
	last   int // line of the record before
	format Format
	ended  bool
}

// budget lets so many bytes through between two records, because encoding/csv
// would take a quote that is never closed for one field of a gigabyte.
type budget struct {
	r    io.Reader
	left int
}

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// csvBuffer is how far encoding/csv reads ahead.
const csvBuffer = 4 << 10

func (b *budget) refill() { b.left = MaxRecord + csvBuffer }

func newTable(b *bufio.Reader, line int, format Format) (*table, error) {
	head, err := b.Peek(sampleLength)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	head, _, _ = bytes.Cut(head, []byte("\n"))
	t := &table{budget: &budget{r: b}, at: make(map[string]int), offset: line - 1}
	t.budget.refill()
	t.csv = csv.NewReader(t.budget)
	t.csv.ReuseRecord = true
	t.csv.FieldsPerRecord = -1
	t.csv.LazyQuotes = false
	for _, comma := range []rune{',', ';', '\t'} {
		if bytes.ContainsRune(head, comma) {
			t.csv.Comma = comma
			break
		}
	}
	header, err := t.csv.Read()
	if err != nil || !utf8.Valid(head) {
		return nil, formatError("the file is neither JSON nor a table (CSV)")
	}
	t.readHeader(header)
	return t, t.check(format)
}

func (t *table) readHeader(header []string) {
	t.width = len(header)
	names := make([]string, len(header))
	for i, name := range header {
		names[i] = strings.ToLower(strings.TrimSpace(name))
	}
	for what, aliases := range columns {
		for _, alias := range aliases {
			if i := slices.Index(names, alias); i >= 0 {
				t.at[what] = i
				break
			}
		}
	}
	t.format = FormatCSV
	if slices.Contains(names, "identifier") || slices.Contains(names, "web_p256") {
		t.format = FormatOneSignal
	}
}

// check makes sure that what is needed to send is in the table at all.
func (t *table) check(wanted Format) error {
	_, endpoint := t.at["endpoint"]
	_, auth := t.at["auth"]
	_, p256dh := t.at["p256dh"]
	_, whole := t.at["subscription"]
	switch {
	case wanted != FormatAuto && wanted != t.format:
		return formatError("the file is of the format %s, not %s", t.format, wanted)
	case whole && !endpoint:
		return nil
	case t.format == FormatOneSignal && endpoint && !(auth && p256dh):
		return formatError(`the export has no keys: ask OneSignal for it again with "extra_fields": ["web_auth", "web_p256", "timezone_id", "notification_types"]`)
	case !endpoint || !auth || !p256dh:
		return formatError("the file is neither JSON nor a table with the columns endpoint, p256dh and auth (in OneSignal's exports: identifier, web_p256, web_auth)")
	}
	return nil
}

// next implements the Reader.
func (t *table) next() (Record, error) {
	if t.ended {
		return Record{}, io.EOF
	}
	t.budget.refill()
	row, err := t.csv.Read()
	var bad *csv.ParseError
	switch {
	case errors.Is(err, errTooLong):
		t.ended = true
		return Record{}, &RecordError{Line: t.last + 1, Problem: "the record " + errTooLong.Error() + ", or a quote is never closed; the rest has not been read"}
	case errors.As(err, &bad):
		return Record{}, &RecordError{Line: t.offset + bad.StartLine, Problem: "has a quote in the wrong place"}
	case err != nil:
		return Record{}, err
	}
	line, _ := t.csv.FieldPos(0)
	line += t.offset
	t.last = line
	if len(row) != t.width {
		return Record{}, &RecordError{Line: line, Problem: "has " + strconv.Itoa(len(row)) + " columns, and the header " + strconv.Itoa(t.width)}
	}
	return t.record(row, line)
}

func (t *table) field(row []string, what string) string {
	i, ok := t.at[what]
	if !ok {
		return ""
	}
	// A copy: the row's memory is used again.
	return strings.Clone(strings.TrimSpace(row[i]))
}

func (t *table) record(row []string, line int) (Record, error) {
	if whole := t.field(row, "subscription"); whole != "" && t.field(row, "endpoint") == "" {
		rec, _, err := parseObject([]byte(whole))
		var bad *RecordError
		if errors.As(err, &bad) {
			bad.Line = line
			return Record{}, bad
		}
		rec.Line = line
		return rec, err
	}
	rec := Record{
		Line: line, Endpoint: t.field(row, "endpoint"), P256DH: t.field(row, "p256dh"), Auth: t.field(row, "auth"),
		Key: t.field(row, "key"), Language: t.field(row, "language"), Page: t.field(row, "page"),
		Created: parseMoment(t.field(row, "created")), Seen: parseMoment(t.field(row, "seen")), Expiration: parseMoment(t.field(row, "expiration")),
		Skip: t.skip(row),
	}
	// OneSignal's older column is an offset in seconds.
	if zone := t.field(row, "zone"); strings.Contains(zone, "/") || zone == "UTC" {
		rec.TimeZone = zone
	}
	if rec.Skip != "" {
		return rec, nil
	}
	if problem := noEndpoint(rec); problem != "" {
		return Record{}, &RecordError{Line: line, Field: t.name("endpoint"), Problem: problem}
	}
	return rec, nil
}

// noEndpoint says what stands where the endpoint's URL should.
func noEndpoint(rec Record) string {
	switch {
	case rec.Endpoint == "":
		return "is missing"
	case looksLikeToken(rec.Endpoint):
		return bareToken
	case len(rec.Endpoint) == 64 && strings.Trim(strings.ToLower(rec.Endpoint), "0123456789abcdef") == "":
		return "is a device token of Safari's own push of before 2022, which is not Web Push: such a subscriber cannot be imported"
	}
	return ""
}

// name is the column's, as OneSignal and most others spell it.
func (t *table) name(what string) string {
	if t.format == FormatOneSignal {
		return columns[what][0]
	}
	return what
}

// skip says why a row is not for importing.
func (t *table) skip(row []string) string {
	if device := strings.ToLower(t.field(row, "device")); device != "" && !slices.Contains(webDevices, device) {
		return "another channel"
	}
	if isYes(t.field(row, "invalid")) || isNo(t.field(row, "subscribed")) {
		return "unsubscribed"
	}
	// 1 is subscribed; 0 and everything below, not or not any more.
	if n, err := strconv.Atoi(t.field(row, "types")); err == nil && n <= 0 {
		return "unsubscribed"
	}
	return ""
}

func isYes(s string) bool {
	return slices.Contains([]string{"t", "true", "1", "yes"}, strings.ToLower(s))
}

func isNo(s string) bool {
	return slices.Contains([]string{"f", "false", "0", "no"}, strings.ToLower(s))
}
