package transfer

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// table reads CSV.
type table struct {
	csv        *csv.Reader
	budget     *budget
	names      []string // of the columns, as the file has them
	columns    map[string]int
	jsonColumn int // column with PushSubscriptions as JSON, or -1
	offset     int // lines before the header
	lastLine   int // line of the previous record
	format     Format
	ended      bool
	// first is the first record, which newTable reads to find jsonColumn.
	first *tableRow
}

// tableRow is the result of csv.Reader.Read.
type tableRow struct {
	fields []string
	line   int
	err    error
}

// budget limits the bytes between two records, because encoding/csv would read an unclosed quote as one field
// of a gigabyte.
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
	comma, skipped, err := separatorLine(b)
	if err != nil {
		return nil, err
	}
	head, err := b.Peek(sampleLength)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	head, _, _ = bytes.Cut(head, []byte("\n"))
	if problem := notTable(head); problem != "" {
		return nil, formatError("%s", problem)
	}
	if comma == 0 {
		comma = separator(head)
	}
	t := &table{budget: &budget{r: b}, jsonColumn: -1, offset: line - 1 + skipped}
	t.budget.refill()
	t.csv = csv.NewReader(t.budget)
	t.csv.Comma = comma
	t.csv.FieldsPerRecord = -1
	header, err := t.csv.Read()
	if err != nil || !utf8.Valid(head) {
		return nil, formatError("the file is neither JSON nor a table (CSV)")
	}
	t.readHeader(header)
	t.csv.ReuseRecord = true
	return t, t.check(format)
}

// separatorLine reads the line "sep=;" that Excel writes before the header. It returns the separator, 0 if
// there is no such line, and the number of lines that it read.
func separatorLine(b *bufio.Reader) (comma rune, lines int, err error) {
	head, err := b.Peek(sampleLength)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, 0, err
	}
	text, _, ended := bytes.Cut(head, []byte("\n"))
	separator, found := bytes.CutPrefix(bytes.Trim(text, "\"\r"), []byte("sep="))
	if !found || !ended || len(separator) != 1 || !slices.Contains(separators, rune(separator[0])) {
		return 0, 0, nil
	}
	_, err = b.Discard(len(text) + 1)
	return rune(separator[0]), 1, err
}

// separators are the possible separators of a table's fields.
var separators = []rune{',', ';', '\t', '|'}

// separator returns the separator that finds the most known names in the header, or else the most fields.
func separator(header []byte) rune {
	best, most := ',', -1
	for _, comma := range separators {
		score := 0
		fields := strings.Split(string(header), string(comma))
		for _, field := range fields {
			name := strings.ToLower(strings.Trim(field, "\" \t\r"))
			for _, names := range aliases {
				if slices.Contains(names, name) {
					score += 1000
				}
			}
		}
		if score += len(fields); score > most {
			best, most = comma, score
		}
	}
	return best
}

// notTable recognizes by the first line files that people take for a table.
func notTable(head []byte) string {
	upper := strings.ToUpper(string(head[:min(len(head), 64)]))
	for _, word := range []string{"-- ", "/*", "INSERT INTO", "CREATE TABLE", "DROP TABLE", "SET "} {
		if strings.HasPrefix(upper, word) {
			return "the file is an SQL dump: export the table of subscriptions as CSV, with the column names in the first line, or as JSON"
		}
	}
	if strings.HasPrefix(upper, "<") {
		return "the file is XML or HTML: export the subscriptions as CSV or JSON"
	}
	return ""
}

func (t *table) readHeader(header []string) {
	t.names = header
	names := make([]string, len(header))
	for i, name := range header {
		names[i] = strings.ToLower(strings.TrimSpace(name))
	}
	t.columns = make(map[string]int)
	for what, list := range aliases {
		for _, alias := range list {
			if i := slices.Index(names, alias); i >= 0 {
				t.columns[what] = i
				break
			}
		}
	}
	t.format = FormatCSV
	if slices.Contains(names, "identifier") || slices.Contains(names, "web_p256") {
		t.format = FormatOneSignal
	}
	for _, name := range jsonNames {
		if i := slices.Index(names, name); i >= 0 {
			t.jsonColumn = i
			break
		}
	}
}

// check checks that the table has what is needed to send.
func (t *table) check(wanted Format) error {
	if wanted != FormatAuto && wanted != t.format {
		return formatError("the file is of the format %s, not %s", t.format, wanted)
	}
	_, endpoint := t.columns["endpoint"]
	_, auth := t.columns["auth"]
	_, p256dh := t.columns["p256dh"]
	if endpoint && auth && p256dh {
		t.jsonColumn = -1
		return nil
	}
	if t.format == FormatOneSignal && endpoint {
		return formatError(`the export has no keys: ask OneSignal for it again with "extra_fields": ["web_auth", "web_p256", "timezone_id", "notification_types"]`)
	}
	t.first = new(tableRow)
	*t.first = t.read()
	if t.first.err == nil {
		t.findWhole(t.first.fields)
	}
	if t.jsonColumn >= 0 {
		return nil
	}
	return t.unknownColumns()
}

// findWhole finds the column with JSON, first by its name and then by the first record's content.
func (t *table) findWhole(row []string) {
	if t.jsonColumn >= 0 && t.jsonColumn < len(row) && isObject(row[t.jsonColumn]) {
		return
	}
	i := slices.IndexFunc(row, isObject)
	if i >= 0 || t.jsonColumn >= 0 && !strings.Contains(strings.ToLower(t.names[t.jsonColumn]), "subscription") {
		t.jsonColumn = i
	}
}

// isObject reports whether the text begins like a JSON object, or like a JSON string that holds one.
func isObject(s string) bool {
	return strings.HasPrefix(strings.TrimLeft(s, " \t\""), "{")
}

// unknownColumns returns an error that names the columns found and those missing.
func (t *table) unknownColumns() error {
	if slices.ContainsFunc(t.names, func(s string) bool { return strings.HasPrefix(strings.TrimSpace(s), "https://") }) {
		return formatError("the table has no column names: its first line is a record. Add a first line that names the columns in their order, such as id,endpoint,p256dh,auth, or export again with the column names in the first line")
	}
	var missing []string
	for _, what := range []string{"endpoint", "p256dh", "auth"} {
		if _, ok := t.columns[what]; !ok {
			missing = append(missing, fmt.Sprintf("%s (also as %s)", what, strings.Join(aliases[what], ", ")))
		}
	}
	return formatError("the file is neither JSON nor a table with the columns endpoint, p256dh and auth. Its columns are: %s. Missing: %s. Rename the columns in the first line, or export those too",
		nameList(t.names), strings.Join(missing, "; "))
}

// read reads one row.
func (t *table) read() tableRow {
	t.budget.refill()
	fields, err := t.csv.Read()
	if err != nil {
		return tableRow{err: err}
	}
	line, _ := t.csv.FieldPos(0)
	return tableRow{fields: fields, line: line + t.offset}
}

// next implements the Reader.
func (t *table) next() (Record, error) {
	for !t.ended {
		row := t.first
		if t.first = nil; row == nil {
			row = new(tableRow)
			*row = t.read()
		}
		if row.err != nil {
			return Record{}, t.fault(row.err)
		}
		t.lastLine = row.line
		if isBlankRow(row.fields) {
			continue // spreadsheets write empty lines like this
		}
		if len(row.fields) > len(t.names) && !isBlankRow(row.fields[len(t.names):]) {
			return Record{}, &RecordError{Line: row.line, Problem: "has " + strconv.Itoa(len(row.fields)) + " columns, but the header has " + strconv.Itoa(len(t.names))}
		}
		return t.record(row.fields, row.line)
	}
	return Record{}, io.EOF
}

func isBlankRow(fields []string) bool {
	return !slices.ContainsFunc(fields, func(s string) bool { return strings.TrimSpace(s) != "" })
}

// fault turns an error of reading a row into the one that next returns.
func (t *table) fault(err error) error {
	var bad *csv.ParseError
	switch {
	case errors.Is(err, errTooLong):
		t.ended = true
		return &RecordError{Line: t.lastLine + 1, Problem: "the record " + errTooLong.Error() + ", or a quote is never closed; the rest has not been read"}
	case errors.As(err, &bad):
		return &RecordError{Line: t.offset + bad.StartLine, Problem: "has a quote in the wrong place"}
	}
	return err
}

// field returns the text of a column, "" if the row ends before it.
func (t *table) field(row []string, what string) string {
	i, ok := t.columns[what]
	if !ok || i >= len(row) {
		return ""
	}
	s := strings.TrimSpace(row[i])
	if isNull(s) {
		return ""
	}
	return strings.Clone(s) // the row's memory is reused
}

func (t *table) record(row []string, line int) (Record, error) {
	field := func(what string) string { return t.field(row, what) }
	rec := Record{
		Line: line, Endpoint: field("endpoint"), P256DH: field("p256dh"), Auth: field("auth"),
		Key: field("key"), Language: field("language"), Page: field("page"),
		Created: parseMoment(field("created")), Seen: parseMoment(field("seen")), Expiration: parseMillis(field("expiration")),
		Topics: parseTopics(field("topics")), Skip: skipReason(field),
	}
	// OneSignal's older column has an offset in seconds.
	if zone := field("zone"); strings.Contains(zone, "/") || zone == "UTC" {
		rec.TimeZone = zone
	}
	if rec.Skip != "" {
		return rec, nil
	}
	if short := t.missingColumns(row); short != "" {
		return Record{}, &RecordError{Line: line, Problem: short}
	}
	if t.jsonColumn >= 0 {
		return rec.withJSON([]byte(row[t.jsonColumn]))
	}
	if problem := noEndpoint(rec); problem != "" {
		return Record{}, &RecordError{Line: line, Field: t.name("endpoint"), Problem: problem}
	}
	return rec, nil
}

// missingColumns returns a problem if a row ends before a needed column. Other columns may be missing: spreadsheets
// leave out empty fields at the end.
func (t *table) missingColumns(row []string) string {
	needed := t.jsonColumn
	for _, what := range []string{"endpoint", "p256dh", "auth"} {
		if i, ok := t.columns[what]; ok && t.jsonColumn < 0 {
			needed = max(needed, i)
		}
	}
	if needed < len(row) {
		return ""
	}
	return "has " + strconv.Itoa(len(row)) + " columns, but the header has " + strconv.Itoa(len(t.names))
}

// withJSON completes a row's record with the JSON in one of its fields: a whole PushSubscription, or only its
// keys.
func (r Record) withJSON(value []byte) (Record, error) {
	var inner string
	if json.Unmarshal(value, &inner) == nil {
		value = []byte(inner)
	}
	var keys jsonKeys
	if r.Endpoint != "" && json.Unmarshal(value, &keys) == nil && keys.P256DH != "" {
		r.P256DH, r.Auth = keys.P256DH, keys.Auth
		return r, nil
	}
	rec, _, err := parseObject(value)
	var bad *RecordError
	switch {
	case errors.As(err, &bad):
		bad.Line = r.Line
		return Record{}, bad
	case err != nil:
		return Record{}, err
	}
	rec.Line = r.Line
	rec.fill(r)
	return rec, nil
}

// noEndpoint returns the problem with a record's endpoint, or "".
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

// name returns the column's name, as OneSignal and most others spell it.
func (t *table) name(what string) string {
	if t.format == FormatOneSignal {
		return aliases[what][0]
	}
	return what
}
